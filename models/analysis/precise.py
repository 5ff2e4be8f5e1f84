r"""One text once more in float64, states and all, for what float32 cannot carry.

The secant weights of an RNN may grow with distance where its gradient fades: rho(z) = tanh(z) / z is above the
derivative 1 - tanh(z)^2 everywhere. At 1.25 a token, contributions reach 1e6 after 60 tokens, and must cancel to a
logit of 1. With float32's rounding of 1e-7 in every state they would miss it; float64's leaves room for 1e11.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..cells import GATES
from ..encoder import Encoder, Pass
from ..recurrence import LayerActivations, Recurrence
from ..runner import Activations
from .readout import host, product

Values = NDArray[np.float64]


def precisely(encoder: Encoder, run: Pass, row: int) -> tuple[Pass, Activations]:
    """Row `row` of `run` alone, from the same x_t and weights: the pass, and what the secant needs of it."""
    x = _values(run.inputs[0][row, : int(run.lengths[row])])
    inputs, activations = [], []
    for layer in range(len(encoder.layers)):
        inputs.append(torch.from_numpy(x)[None])
        activations.append([_recorded(encoder.recurrence(layer, d), x) for d in encoder.directions])
        x = np.concatenate([found["hidden_state"][0].numpy() for found in activations[-1]], axis=1)
    states = tuple(tuple(found["hidden_state"] for found in layer) for layer in activations)
    return Pass(tuple(inputs), states, torch.tensor([len(x)])), activations


def _recorded(recurrence: Recurrence, x: Values) -> LayerActivations:
    """Steps of one layer in one direction: x [time, input] -> tensor name -> float64 [1, time, unit], reading order."""
    reading = slice(None, None, -1 if recurrence.direction == "reverse" else 1)
    w = recurrence.weights.to(torch.float64)
    z = product(x, _values(w.weight_ih).T)[reading] + _values(w.bias_ih + w.bias_hh)
    values = _STEPS[recurrence.cell](z, _values(w.weight_hh))
    return {name: torch.from_numpy(v[reading].copy())[None] for name, v in values.items()}


def _values(x: Tensor) -> Values:
    return host(x).astype(np.float64)


def _rnn(z: Values, weight_hh: Values) -> dict[str, Values]:
    """z [time, unit], so far W_ih x_t + b, becomes the preactivation as the steps go by."""
    hidden_state, product = np.zeros_like(z), np.empty_like(z[0])
    for t in range(len(z)):
        if t:
            z[t] += np.dot(weight_hh, hidden_state[t - 1], out=product)
        np.tanh(z[t], out=hidden_state[t])
    return {"hidden_state": hidden_state, "hidden_state_preactivation": z}


def _lstm(z: Values, weight_hh: Values) -> dict[str, Values]:
    """As `_rnn`, with z [time, gate * unit]."""
    time, units = len(z), weight_hh.shape[1]
    gates = z.reshape(time, 4, units)
    said, c, h = np.empty_like(gates), np.zeros((time, units)), np.zeros((time, units))
    for t in range(time):
        if t:
            z[t] += weight_hh @ h[t - 1]
        said[t] = 1 / (1 + np.exp(-gates[t]))
        np.tanh(gates[t, 2], out=said[t, 2])
        i, f, g, o = said[t]
        c[t] = i * g + (f * c[t - 1] if t else 0)
        h[t] = o * np.tanh(c[t])
    named = {name: said[:, k] for k, name in enumerate(GATES)}
    return {"hidden_state": h, "cell_state": c, "cell_gate_preactivation": gates[:, 2], **named}


_STEPS = {"rnn": _rnn, "lstm": _lstm}
