r"""Proof, sent with every answer, that the activations shown are what the weights do.

For up to eight timesteps of each layer and direction, chosen by a hash of the text, each gate and state is computed
again in float64 from the float32 weights of the file, the step's input and h_{t-1}, c_{t-1} as shown. Over all steps
the two identities o * tanh(c) = h and f * c_{t-1} + i * g = c must hold besides. The identities alone would certify
nothing: any self-consistent numbers satisfy them, permuted weights included.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .cells import Cell, CellWeights, lstm_step, rnn_step
from .recurrence import Direction, LayerActivations

STEPS = 8


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
    digest = hashlib.sha256(f"{layer}/{direction}/{text}".encode("utf-8", "surrogatepass")).digest()
    return np.sort(np.random.default_rng(list(digest)).choice(length, STEPS, replace=False))


def recurrence_error(
    cell: Cell,
    weights: CellWeights,
    x: Tensor,
    shown: LayerActivations,
    direction: Direction,
    timesteps: NDArray[np.int64],
) -> float:
    """The largest difference between `shown` and one float64 step from the same state, and of the identities.

    Args: x [time, input] and shown name -> [time, unit] of one text, one layer, one direction, without padding.
    """
    at = torch.from_numpy(timesteps).to(x.device)
    before = {name: _previous(shown[name], direction) for name in ("hidden_state", "cell_state") if name in shown}
    exact, inputs = weights.to(torch.float64), x[at].double()
    hidden = before["hidden_state"][at].double()
    if cell == "rnn":
        return _apart(rnn_step(inputs, hidden, exact), shown["hidden_state"][at])
    step = lstm_step(inputs, (hidden, before["cell_state"][at].double()), exact)
    errors = [_apart(value, shown[name][at]) for name, value in step._asdict().items()]
    i, f, g, o, c = (shown[f"{n}"] for n in ("input_gate", "forget_gate", "cell_gate", "output_gate", "cell_state"))
    errors.append(_apart(o * torch.tanh(c), shown["hidden_state"]))
    errors.append(_apart(f * before["cell_state"] + i * g, c))
    return max(errors)


def _previous(states: Tensor, direction: Direction) -> Tensor:
    """states[t-1] in the direction of reading, zero at its start."""
    zero = torch.zeros_like(states[:1])
    return torch.cat([zero, states[:-1]] if direction == "forward" else [states[1:], zero])


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).abs().nan_to_num(nan=torch.inf).max())  # max() would pass over a NaN
