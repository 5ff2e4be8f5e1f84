r"""Proof, sent with every answer, that the activations shown are what the weights do.

For up to eight timesteps of each layer and direction, chosen by a hash of the text, each gate and state is computed
again in float64 from the float32 weights of the file, the step's input and h_{t-1}, c_{t-1} as shown. Over all steps
the two identities o * tanh(c) = h and f * c_{t-1} + i * g = c must hold besides. The identities alone would certify
nothing: any self-consistent numbers satisfy them, permuted weights included.
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
    """The timesteps that are checked: all of up to `STEPS`, else `STEPS` that nobody can choose beforehand."""
    if length <= STEPS:
        return np.arange(length)
    drawn = blake2b(f"{layer}/{direction}/{text}".encode("utf-8", "surrogatepass"), digest_size=8 * STEPS).digest()
    chosen: list[int] = []
    for n in range(STEPS):  # the n-th is one of those that are left, counted past the ones that are taken
        t = int.from_bytes(drawn[8 * n : 8 * n + 8]) % (length - n)
        for taken in chosen:
            t += taken <= t
        insort(chosen, t)
    return np.array(chosen)


def recurrence_error(
    cell: Cell,
    exact: CellWeights,
    x: Values,
    shown: Mapping[str, Values],
    direction: Direction,
    timesteps: NDArray[np.int64],
) -> float:
    """The largest difference between `shown` and one float64 step from the same state, and of the identities.

    Args: exact, the weights in float64; x [timestep, input], of the `timesteps` that are checked; shown name -> [time,
          unit] of one text, one layer, one direction, without padding.
    """
    inputs = torch.from_numpy(x).to(exact.bias_ih)

    def before(name: str) -> Tensor:
        return torch.from_numpy(_previous(shown[name], direction)[timesteps]).to(inputs)

    if cell == "rnn":
        return _apart(rnn_step(inputs, before("hidden_state"), exact), shown["hidden_state"][timesteps])
    step = lstm_step(inputs, (before("hidden_state"), before("cell_state")), exact)
    h, c, i, f, g, o = (shown[name] for name in step._fields)
    return max(
        _apart(torch.cat(step), np.concatenate([shown[name][timesteps] for name in step._fields])),
        _apart(o * np.tanh(c), h),
        _apart(f * _previous(c, direction) + i * g, c),
    )


def _previous(states: Values, direction: Direction) -> Values:
    """states[t-1] in the direction of reading, zero at its start."""
    out = np.zeros_like(states)
    if direction == "forward":
        out[1:] = states[:-1]
    else:
        out[:-1] = states[1:]
    return out


def _apart(a: Values | Tensor, b: Values) -> float:
    """The largest difference; infinite where one is no number."""
    largest = float(np.abs((a.cpu().numpy() if isinstance(a, Tensor) else a) - b).max())
    return math.inf if math.isnan(largest) else largest
