r"""Proof, sent with every answer, that the reported activations follow from the weights.

For up to eight timesteps of each layer and direction, chosen by a hash of the text, each gate and state is computed
again in float64 from the float32 weights in the file, the step's input and the reported h_{t-1}, c_{t-1}. In addition
the two identities o * tanh(c) = h and f * c_{t-1} + i * g = c must hold at every step. The identities alone would
prove nothing: any self-consistent numbers satisfy them, also those of permuted weights.
"""

import math
from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .cells import Cell, CellWeights, lstm_step, rnn_step
from .layer import Direction

STEPS = 8

Values = NDArray[np.floating]


@dataclass(frozen=True)
class Certificate:
    """recurrence_max_abs_error: the largest difference found; under 2e-6 * max(1, |c|) in float32."""

    recurrence_max_abs_error: float
    dtype: str
    device: str
    kernel: str


def chosen_timesteps(text: str, length: int, layer: int, direction: Direction) -> NDArray[np.int64]:
    """The timesteps to check: all of a text of up to `STEPS` tokens, else `STEPS` that a hash of the text picks."""
    if length <= STEPS:
        return np.arange(length)
    digest = blake2b(f"{layer}/{direction}/{text}".encode("utf-8", "surrogatepass"), digest_size=8 * STEPS).digest()
    chosen: list[int] = []
    for n in range(STEPS):  # draws from the length - n timesteps not chosen yet: the loop below skips chosen ones
        t = int.from_bytes(digest[8 * n : 8 * n + 8]) % (length - n)
        for earlier in chosen:
            t += earlier <= t
        insort(chosen, t)
    return np.array(chosen)


def recurrence_error(
    cell: Cell,
    weights: CellWeights,
    x: Values,
    activations: Mapping[str, Values],
    direction: Direction,
    timesteps: NDArray[np.int64],
    initial: Mapping[str, Values] | None = None,
) -> float:
    """The largest difference of `activations` from one float64 step from the same state, and from the identities.

    Args: weights in float64; x [timestep, input], the inputs at the `timesteps` to check; activations name -> [time,
          unit] of one text, one layer, one direction, without padding; initial name -> [unit], the state before a
          forward text's first step, zero by default.
    """
    first = initial or {}
    inputs = torch.from_numpy(x).to(weights.bias_ih)

    def previous(name: str) -> Tensor:
        return torch.from_numpy(_previous(activations[name], direction, first.get(name))[timesteps]).to(inputs)

    if cell == "rnn":
        state = rnn_step(inputs, previous("hidden_state"), weights)
        return _largest_difference(state, activations["hidden_state"][timesteps])
    step = lstm_step(inputs, (previous("hidden_state"), previous("cell_state")), weights)
    h, c, i, f, g, o = (activations[name] for name in step._fields)
    return max(
        _largest_difference(torch.cat(step), np.concatenate([values[timesteps] for values in (h, c, i, f, g, o)])),
        _largest_difference(o * np.tanh(c), h),
        _largest_difference(f * _previous(c, direction, first.get("cell_state")) + i * g, c),
    )


def _previous(states: Values, direction: Direction, first: Values | None) -> Values:
    """The state before each step in the direction of reading; before the first step `first`, zero by default."""
    out = np.zeros_like(states)
    if first is not None:
        out[0] = first
    if direction == "forward":
        out[1:] = states[:-1]
    else:
        out[:-1] = states[1:]
    return out


def _largest_difference(a: Values | Tensor, b: Values) -> float:
    """The largest absolute difference; infinite where one of the values is NaN."""
    largest = float(np.abs((a.cpu().numpy() if isinstance(a, Tensor) else a) - b).max())
    return math.inf if math.isnan(largest) else largest
