r"""From a logit back to every x_t, through any depth and both directions. One backward step serves both cells:

    dc_t = f_{t+1} * dc_{t+1} + to_cell_t * dh_t                        (LSTM alone)
    dz_t = to_gate_t * (dc_t or dh_t, whichever the gate is reached through)
    dh_{t-1} = W_hh^T dz_t + what reads h_{t-1} above                   dx_t = W_ih^T dz_t

and the slopes alone (`models.analysis.slopes`) say of which linear function. With ``tangent`` ones dx_t is the gradient
d logit / d x_t. With ``secant`` ones the network is linear outright, and sum_t dx_t . x_t + the biases is the logit.

No autograd and no train mode. Slopes and the products with W_ih are made for all timesteps at once; what is left to
the loop over time is one product with W_hh and a few elementwise operations. numpy runs it: at one text such an
operation is half a microsecond of work, and numpy's calls cost a third of torch's.

Source: backpropagation through time (Werbos 1990); the gates held as in Arras et al. 2019. Equality with autograd and
        with finite differences shown in tests/models/analysis/test_backward.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..recurrence.encoder import Encoder
from ..recurrence.layer import LayerActivations, Recurrence
from ..runtime.runner import Activations
from .arrays import Array, Mask, empty, inside_mask, library, product, reading_order, same_type, where_it_is
from .slopes import Linearisation, Slopes, slopes_of


@dataclass(frozen=True)
class Linear:
    """A logit as a linear function of layer 0's input: sum_t inputs[b, t] . x_t + bias[b] + the head's bias.

    inputs [batch, time, input], zero in padding; bias [batch], the recurrences' own. ``tangent`` inputs are the
    gradient, and then this sum is another number than the logit.
    """

    inputs: Array
    bias: Array


@np.errstate(over="ignore", invalid="ignore")  # a warning of numpy's would reach nobody who can act on it
def backward(
    encoder: Encoder,
    activations: Activations,
    readout: Sequence[Array],
    lengths: Tensor,
    linearisation: Linearisation,
) -> Linear:
    """Pull a linear function of the top layer's states back to layer 0's input.

    What grows beyond every number comes out as infinite or NaN. It runs, and its results are, where the readout is.

    Args: activations of a pass, [layer][direction] -> name -> [batch, time, unit]; readout[direction]
          [time, batch, unit], the weights of the top layer's states (`Readout.weights`); lengths int64 [batch].
    """
    above = list(readout)
    inside = inside_mask(lengths, len(above[0]), above[0])
    bias = library(above[0]).zeros_like(above[0][0, :, 0])
    for layer in range(len(encoder.layers) - 1, -1, -1):
        below = [
            _one_layer(encoder.recurrence(layer, direction), activations[layer][d], above[d], inside, linearisation)
            for d, direction in enumerate(encoder.directions)
        ]
        dx = below[0][0] if len(below) == 1 else below[0][0] + below[1][0]
        bias += below[0][1] if len(below) == 1 else below[0][1] + below[1][1]
        width = dx.shape[2] // len(encoder.directions)
        above = [dx[:, :, n : n + width] for n in range(0, dx.shape[2], width)] if layer else [dx]
    return Linear(above[0].swapaxes(0, 1), bias)


def _one_layer(
    recurrence: Recurrence, recorded: LayerActivations, above: Array, inside: Mask, linearisation: Linearisation
) -> tuple[Array, Array]:
    """dx [time, batch, input] and the biases' share [batch] of one layer in one direction."""
    direction = recurrence.direction
    values = {name: reading_order(where_it_is(v).swapaxes(0, 1), direction) for name, v in recorded.items()}
    slopes = slopes_of(recurrence.cell, values, reading_order(inside, direction), linearisation)
    w, units = recurrence.weights, recurrence.units
    rows = slice(slopes.first * units, (slopes.first + slopes.to_gate.shape[2]) * units)
    w_ih, w_hh, b_ih, b_hh = (
        same_type(where_it_is(x[rows]), above) for x in (w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh)
    )
    dz = through_time(slopes, reading_order(above, direction), w_hh)
    time, batch = dz.shape[:2]
    dx = product(dz.reshape(time * batch, -1), w_ih).reshape(time, batch, -1)  # all timesteps and texts at once
    return reading_order(dx, direction), dz.sum(0).reshape(batch, -1) @ (b_ih + b_hh)


def through_time(slopes: Slopes, readout: Array, weight_hh: Array | None) -> Array:
    """dz of every step, last to first.

    Args:    readout [time, batch, unit], what reads h_t above; weight_hh [gate * unit, unit] of the gates that
             `slopes` has, or None to hold h_{t-1} as well, so that the steps hang together by c alone.
    Returns: [time, batch, gate, unit].
    """
    if isinstance(readout, Tensor):
        return _through_time_on_card(slopes, readout, weight_hh)
    time, batch, units = readout.shape
    split = slopes.by_cell
    dz: Array = np.zeros(slopes.to_gate.shape, slopes.to_gate.dtype)
    read = np.asarray(readout.any(axis=(1, 2))).tolist()
    last = max((t for t in range(time) if read[t]), default=-1)  # beyond it the logit reads nothing
    # Made before the loop, for in it a view costs as much as a product of 128 numbers. `state` is dc_t, once for each
    # gate that is reached through it, and then dh_t.
    state, parts = np.zeros((split + 1, batch, units), dz.dtype), np.empty((2, batch, units), dz.dtype)
    dc, dh, ends = state[:split], state[split], state[split - 1 :]
    by_gate = state.swapaxes(0, 1)[:, : dz.shape[2]]
    steps, rows, to_gate = list(dz), list(dz.reshape(time, batch, -1)), list(slopes.to_gate)
    to_cell = None if slopes.to_cell is None else list(slopes.to_cell)
    multiply = _multiplication(rows, weight_hh, dh)
    for t in range(last, -1, -1):
        if t == last or weight_hh is None:
            dh[...] = readout[t]
        else:
            multiply(t + 1)
            if read[t]:
                dh += readout[t]
        if to_cell is not None:
            np.multiply(to_cell[t], ends, out=parts)
            np.add(parts[0], parts[1], out=dc)
        np.multiply(to_gate[t], by_gate, out=steps[t])
    return dz


def _through_time_on_card(slopes: Slopes, readout: Tensor, weight_hh: Tensor | None) -> Tensor:
    """As `through_time`, without asking the card anything on the way."""
    dz: Tensor = empty(tuple(slopes.to_gate.shape), slopes.to_gate)
    time, batch, gates, _ = dz.shape
    dc = torch.zeros_like(readout[0])
    for t in range(time - 1, -1, -1):
        dh = readout[t]
        if weight_hh is not None and t + 1 < time:
            dh = torch.addmm(dh, dz[t + 1].reshape(batch, -1), weight_hh)
        if slopes.to_cell is None:
            torch.multiply(slopes.to_gate[t], dh[:, None], out=dz[t])
            continue
        dc = slopes.to_cell[t, 0] * dc + slopes.to_cell[t, 1] * dh
        through = [dc[:, None].expand(-1, slopes.by_cell, -1), dh[:, None]][: 1 + (gates > slopes.by_cell)]
        torch.multiply(slopes.to_gate[t], torch.cat(through, dim=1), out=dz[t])
    return dz


def _multiplication(rows: Sequence[Array], weight_hh: Array | None, out: Array) -> Callable[[int], object]:
    """t -> the product of rows[t] [batch, gate * unit] with W_hh, into `out`.

    One text by numpy, whose call is cheaper; a batch by torch: numpy's threads fight with torch's for the cores.
    """
    if weight_hh is None or len(out) == 1:
        return lambda t: np.dot(rows[t], weight_hh, out=out)  # type: ignore[arg-type]
    product, weights, tensors = torch.from_numpy(out), torch.from_numpy(weight_hh), list(map(torch.from_numpy, rows))
    return lambda t: torch.mm(tensors[t], weights, out=product)
