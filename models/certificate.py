r"""Proof, sent with every answer, that the activations shown are what the weights do.

For up to eight timesteps of each layer and direction, chosen by a hash of the text, each gate and state is computed
again in float64 from the float32 weights of the file, the step's input and h_{t-1}, c_{t-1} as shown. Over all steps
the two identities o * tanh(c) = h and f * c_{t-1} + i * g = c must hold besides. The identities alone would certify
nothing: any self-consistent numbers satisfy them, permuted weights included.
"""

import math
import random
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .cells import Cell, Preactivates, lstm_step, rnn_step
from .recurrence import Direction, LayerActivations

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
    seed = f"{layer}/{direction}/{text}".encode("utf-8", "surrogatepass")  # random.Random takes its SHA-512
    return np.array(sorted(random.Random(seed).sample(range(length), STEPS)))


def recurrence_error(
    cell: Cell,
    exact: Preactivates,
    x: Tensor,
    shown: LayerActivations,
    direction: Direction,
    timesteps: NDArray[np.int64],
) -> float:
    """The largest difference between `shown` and one float64 step from the same state, and of the identities.

    Args: x [time, input] and shown name -> [time, unit] of one text, one layer, one direction, without padding;
          exact: the weights, in float64.
    """
    told = {name: values.cpu().numpy() for name, values in shown.items()}
    inputs = x[torch.from_numpy(timesteps).to(x.device)].double()

    def before(name: str) -> Tensor:
        return torch.from_numpy(_previous(told[name], direction)[timesteps]).to(inputs)

    if cell == "rnn":
        return _apart(rnn_step(inputs, before("hidden_state"), exact), told["hidden_state"][timesteps])
    step = lstm_step(inputs, (before("hidden_state"), before("cell_state")), exact)
    h, c, i, f, g, o = (told[name] for name in step._fields)
    return max(
        _apart(torch.cat(step), np.concatenate([told[name][timesteps] for name in step._fields])),
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
