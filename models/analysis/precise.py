r"""One text once more in float64, states and all: what the secant takes apart, since float32 cannot carry it.

The secant weights of a recurrence may grow with distance where its gradient fades: rho(z) = tanh(z) / z is above the
derivative 1 - tanh(z)^2 everywhere. At 1.25 a token (an RNN) contributions reach 1e6 after 60 tokens, and must cancel
to a logit of 1; an LSTM's reach 1e5 after 500. With float32's rounding of 1e-7 in every state they would miss it;
float64's leaves room for 1e11.

An LSTM's gates are held by the secant, so they stay the numbers that were recorded: what is run again is the part that
is linearised, g = tanh(z_g), c and h.
"""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from ..recurrence.cells import GATES
from ..recurrence.encoder import Encoder, Pass
from ..recurrence.layer import LayerActivations, Recurrence
from ..runtime.runner import Activations
from .arrays import Array, double, library, product, reading_order, where_it_is


def precisely(encoder: Encoder, run: Pass, recorded: Activations, row: int) -> tuple[Pass, Activations]:
    """Row `row` of `run` alone, from the same x_t, weights and gates: the pass, and what the secant needs of it."""
    length = int(run.lengths[row])
    x = _values(run.inputs[0][row, :length])
    inputs, activations = [], []
    for layer, directions in enumerate(recorded):
        inputs.append(torch.as_tensor(x)[None])
        held = [{name: v[row, :length] for name, v in found.items()} for found in directions]
        again = [_again(encoder.recurrence(layer, d), x, h) for d, h in zip(encoder.directions, held, strict=True)]
        activations.append(again)
        x = _values(torch.cat([found["hidden_state"][0] for found in activations[-1]], dim=1))
    states = tuple(tuple(found["hidden_state"] for found in layer) for layer in activations)
    return Pass(tuple(inputs), states, run.lengths[row : row + 1]), activations


def _again(recurrence: Recurrence, x: Array, held: LayerActivations) -> LayerActivations:
    """Steps of one layer in one direction: x [time, input] -> tensor name -> float64 [1, time, unit], reading order."""
    direction, w, units = recurrence.direction, recurrence.weights, recurrence.units
    first = GATES.index("cell_gate") * units if recurrence.cell == "lstm" else 0
    w_ih, w_hh, b_ih, b_hh = (
        _values(v[first : first + units]) for v in (w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh)
    )
    z = reading_order(product(x, w_ih.T) + (b_ih + b_hh), direction)
    if recurrence.cell == "rnn":
        values = _rnn(z, w_hh)
    else:
        gates = {name: reading_order(_values(held[name]), direction) for name in GATES if name != "cell_gate"}
        values = {**_lstm(z, w_hh, **gates), **gates}
    return {name: _tensor(reading_order(v, direction))[None] for name, v in values.items()}


def _values(x: Tensor) -> Array:
    return double(where_it_is(x))


def _tensor(x: Array) -> Tensor:
    return x if isinstance(x, Tensor) else torch.from_numpy(x.copy())  # without strides below zero


def _rnn(z: Array, weight_hh: Array) -> dict[str, Array]:
    """z [time, unit], so far W_ih x_t + b, becomes the preactivation as the steps go by."""
    by, times = _arithmetic(z)
    hidden_state, product = by.zeros_like(z), by.empty_like(z[0])
    for t in range(len(z)):
        if t:
            z[t] += times(weight_hh, hidden_state[t - 1], out=product)
        by.tanh(z[t], out=hidden_state[t])
    return {"hidden_state": hidden_state, "hidden_state_preactivation": z}


def _lstm(z: Array, weight_hh: Array, input_gate: Array, forget_gate: Array, output_gate: Array) -> dict[str, Array]:
    """As `_rnn`, with z of the cell gate: c_t = f c_{t-1} + i tanh(z), h_t = o tanh(c_t)."""
    by, times = _arithmetic(z)
    cell_state, hidden_state = by.empty_like(z), by.empty_like(z)
    c, h, part = by.zeros_like(z[0]), by.zeros_like(z[0]), by.empty_like(z[0])
    steps = zip(z, input_gate, forget_gate, output_gate, cell_state, hidden_state, strict=True)
    for z_t, i, f, o, c_t, h_t in steps:
        z_t += times(weight_hh, h, out=part)
        by.multiply(f, c, out=c_t)
        by.tanh(z_t, out=part)
        part *= i
        c_t += part
        by.tanh(c_t, out=h_t)
        h_t *= o
        c, h = c_t, h_t
    return {"hidden_state": hidden_state, "cell_state": cell_state, "cell_gate_preactivation": z}


def _arithmetic(x: Array) -> tuple[ModuleType, Callable[..., Array]]:
    """The library of x, and its product of a matrix and a vector."""
    return library(x), torch.mv if isinstance(x, Tensor) else np.dot
