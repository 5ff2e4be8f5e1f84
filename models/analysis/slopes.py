r"""The two cells made linear: what each step passes back, from the values that were recorded.

tangent   the derivative, by every gate: tanh' = 1 - tanh^2, sigmoid' = s (1 - s)
secant    tanh(z) = rho(z) z with rho(z) = tanh(z) / z, and the gates held at the values they took: what is left
          is linear outright, so nothing of the logit is lost
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..recurrence.cells import GATES, Cell
from .arrays import Array, Mask, empty, library

Linearisation = Literal["tangent", "secant"]


@dataclass(frozen=True)
class Slopes:
    r"""One layer in one direction, all timesteps in reading order; zero in padding.

    With dh_t the weight of h_t in the logit, dc_t of c_t and dz_t of the preactivations,

        dc_t = to_cell[t, 0] * dc_{t+1} + to_cell[t, 1] * dh_t
        dz_t = to_gate[t] * (dc_t for the first `by_cell` gates, dh_t for the one after them)

    to_gate [time, batch, gate, unit]: of the gates from `first` on, in the order of the weights' rows. to_cell
    [time, 2, batch, unit]: f_{t+1}, and what c_t gives to h_t; None for an RNN, which has no c.
    """

    first: int
    by_cell: int
    to_gate: Array
    to_cell: Array | None = None


def slopes_of(cell: Cell, values: Mapping[str, Array], inside: Mask, linearisation: Linearisation) -> Slopes:
    """The slopes at the values that a pass recorded.

    Args: values: tensor name -> [time, batch, unit] in reading order; inside bool [time, batch, 1], false in padding.
    """
    if cell == "rnn":
        return _rnn(values, inside, linearisation)
    return _lstm_tangent(values, inside) if linearisation == "tangent" else _lstm_secant(values, inside)


def rho(z: Array) -> Array:
    """tanh(z) / z, the slope from 0 to tanh(z); 1 where z is 0. In (0, 1], so no error of z is made larger."""
    if isinstance(z, Tensor):
        return torch.where(z != 0, torch.tanh(z) / z, 1)
    return np.divide(np.tanh(z), z, out=np.ones_like(z), where=z != 0)


def _rnn(values: Mapping[str, Array], inside: Mask, linearisation: Linearisation) -> Slopes:
    """h = tanh(z)"""
    secant = linearisation == "secant"
    slope = rho(values["hidden_state_preactivation"]) if secant else 1 - values["hidden_state"] ** 2
    return Slopes(first=0, by_cell=0, to_gate=(slope * inside)[:, :, None])


def _lstm_secant(values: Mapping[str, Array], inside: Mask) -> Slopes:
    """c' = f c + i rho(z_g) z_g and h = o rho(c) c: linear in z_g, c and h, the gates i, f, o being numbers."""
    through = values["input_gate"] * rho(values["cell_gate_preactivation"]) * inside
    to_cell = _to_cell(values["forget_gate"], values["output_gate"] * rho(values["cell_state"]))
    return Slopes(GATES.index("cell_gate"), 1, through[:, :, None], to_cell)


def _lstm_tangent(values: Mapping[str, Array], inside: Mask) -> Slopes:
    """c' = f c + i g reaches z_i, z_f, z_g; h = o tanh(c) reaches z_o."""
    i, f, g, o = (values[name] for name in GATES)
    cell_state = values["cell_state"] * inside  # so that c before the first token is 0, whatever padding held
    by = library(i)
    before = by.concatenate([by.zeros_like(cell_state[:1]), cell_state[:-1]])
    tanh_cell_state = by.tanh(values["cell_state"])
    to_gate = empty((*i.shape[:2], len(GATES), i.shape[2]), i)
    by.multiply(g, i * (1 - i), out=to_gate[:, :, 0])
    by.multiply(before, f * (1 - f), out=to_gate[:, :, 1])
    by.multiply(i, 1 - g * g, out=to_gate[:, :, 2])
    by.multiply(tanh_cell_state, o * (1 - o), out=to_gate[:, :, 3])
    if isinstance(inside, Tensor) or not inside.all():  # of a card it is not asked: the answer would be a copy
        to_gate *= inside[:, :, None]
    return Slopes(0, 3, to_gate, _to_cell(f, o * (1 - tanh_cell_state * tanh_cell_state)))


def deposits_of(values: Mapping[str, Array], inside: Mask) -> Slopes:
    """h_{t-1} held too: c' = f c + i g with the deposit i g a number, so dz is what each deposit gives to the logit."""
    deposit = values["input_gate"] * values["cell_gate"] * inside
    to_cell = _to_cell(values["forget_gate"], values["output_gate"] * rho(values["cell_state"]))
    return Slopes(0, 1, deposit[:, :, None], to_cell)


def _to_cell(forget_gate: Array, from_hidden: Array) -> Array:
    """What dc_t is made of: f_{t+1} of dc_{t+1} (nothing comes after the last step), and its slope to h_t of dh_t."""
    out = empty((len(forget_gate), 2, *forget_gate.shape[1:]), forget_gate)
    out[:-1, 0], out[-1, 0], out[:, 1] = forget_gate[1:], 0, from_hidden
    return out
