"""\"An RNN cannot be trained in parallel\": a training step against T, at as many multiplications a token.

The LSTM's products are 4 H (H + H) a token; the feed-forward layer H -> 8 H has as many. What differs is that h_t has
to wait for h_{t-1}.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

UNITS, BATCH, ROUNDS = 128, 4, 7


@dataclass(frozen=True)
class Steps:
    """Milliseconds of one forward and backward pass, the median of interleaved rounds, by T."""

    timesteps: tuple[int, ...]
    recurrent_ms: tuple[float, ...]
    feed_forward_ms: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(r / f for r, f in zip(self.recurrent_ms, self.feed_forward_ms, strict=True))


def training_steps(timesteps: Sequence[int]) -> Steps:
    lstm, layer = nn.LSTM(UNITS, UNITS, batch_first=True), nn.Linear(UNITS, 8 * UNITS)
    recurrent: list[float] = []
    feed_forward: list[float] = []
    for length in timesteps:
        x = torch.randn(BATCH, length, UNITS)
        rounds = [(_timed(lambda x: lstm(x)[0], lstm, x), _timed(layer, layer, x)) for _ in range(ROUNDS)]
        recurrent.append(statistics.median(r for r, _ in rounds[1:]))
        feed_forward.append(statistics.median(f for _, f in rounds[1:]))
    return Steps(tuple(timesteps), tuple(recurrent), tuple(feed_forward))


def _timed(run: Callable[[Tensor], Tensor], module: nn.Module, x: Tensor) -> float:
    began = time.perf_counter()
    module.zero_grad()
    run(x).square().mean().backward()  # type: ignore[no-untyped-call]
    return (time.perf_counter() - began) * 1000
