"""\"An RNN cannot be trained in parallel\": a training step against T, at as many multiplications a token.

The LSTM's products are 4 H (H + H) a token; the feed-forward layer H -> 4 H -> H has as many, and as large an output.
What differs is that h_t has to wait for h_{t-1}.
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
    """Milliseconds of one forward and backward pass, the median of interleaved rounds, by T."""

    timesteps: tuple[int, ...]
    recurrent_ms: tuple[float, ...]
    feed_forward_ms: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(r / f for r, f in zip(self.recurrent_ms, self.feed_forward_ms, strict=True))


def training_steps(timesteps: Sequence[int], texts: int) -> Steps:
    """Of `texts` texts together, each of every length in turn."""
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
    """As many products a token as an LSTM of as many units and inputs has."""
    return nn.Sequential(nn.Linear(units, 4 * units), nn.Tanh(), nn.Linear(4 * units, units))


def _timed(run: Callable[[Tensor], Tensor], module: nn.Module, x: Tensor) -> float:
    began = time.perf_counter()
    module.zero_grad()
    run(x).square().mean().backward()  # type: ignore[no-untyped-call]
    return (time.perf_counter() - began) * 1000
