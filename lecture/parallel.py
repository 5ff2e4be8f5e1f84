"""\"An RNN cannot be trained in parallel\": time of a training step against T, with equal multiplications a token.

The LSTM's products take 4 H (H + H) multiplications a token; the feed-forward layer H -> 4 H -> H takes as many, and
its output has the same size. The difference is that h_t has to wait for h_{t-1}.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

UNITS, ROUNDS = 128, 7


@dataclass(frozen=True)
class Steps:
    """Milliseconds of one forward and backward pass for each T, the median of interleaved rounds."""

    timesteps: tuple[int, ...]
    recurrent_ms: tuple[float, ...]
    feed_forward_ms: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(r / f for r, f in zip(self.recurrent_ms, self.feed_forward_ms, strict=True))


def training_steps(timesteps: Sequence[int], texts: int) -> Steps:
    """Training steps on a batch of `texts` texts, for each length in turn."""
    lstm, layer = nn.LSTM(UNITS, UNITS, batch_first=True), feed_forward(UNITS)
    recurrent: list[float] = []
    parallel: list[float] = []
    for length in timesteps:
        x = torch.randn(texts, length, UNITS)
        rounds = [(_timed(lambda x: lstm(x)[0], lstm, x), _timed(layer, layer, x)) for _ in range(ROUNDS)]
        recurrent.append(statistics.median(r for r, _ in rounds[1:]))
        parallel.append(statistics.median(f for _, f in rounds[1:]))
    return Steps(tuple(timesteps), tuple(recurrent), tuple(parallel))


def feed_forward(units: int) -> nn.Module:
    """A network with as many multiplications a token as an LSTM with `units` units and inputs."""
    return nn.Sequential(nn.Linear(units, 4 * units), nn.Tanh(), nn.Linear(4 * units, units))


def _timed(run: Callable[[Tensor], Tensor], module: nn.Module, x: Tensor) -> float:
    start = time.perf_counter()
    module.zero_grad()
    run(x).square().mean().backward()  # type: ignore[no-untyped-call]
    return (time.perf_counter() - start) * 1000
