r"""Which tokens made this logit? Four answers, each with what it leaves out.

    secant            contribution_s = dx_s . x_s, dx by secant slopes and the gates held (`models.analysis.slopes`);
                      with the biases' share they sum to the logit. Any depth, both directions, both cells.
    cell_additive     the top layer's c_t = sum_s A[t,s] i_s g_s, so contribution_s = sum_t w_t . (o_t rho(c_t) A[t,s]
                      i_s g_s), A as in `models.analysis.memory`; LSTM alone. Sums to the logit with the head's bias.
    gradient_x_input  dx_s . x_s with the true gradient; need not add up.
    occlusion         the logit minus that of the text without the token, re-run; need not add up.

The first two are complete, not causal: the gates, which they hold, depend on the tokens too. Occlusion is the causal
check. Logits are before the temperature.

Source: gates held as in Arras et al. 2019; cell_additive Murdoch & Szlam 2017.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import OptionError
from ..network.network import Classifier, Tagger
from ..recurrence.encoder import Encoder, Pass
from ..runtime.runner import Activations
from .backward import Linear, backward, through_time
from .precise import precisely
from .readout import Array, Readout, host, read_out
from .slopes import deposits_of

Method = Literal["secant", "cell_additive", "gradient_x_input", "occlusion"]
Positions = Literal["tokens", "top_layer_input"]
OCCLUDED_TOKENS = 16384  # re-run together at most


@dataclass(frozen=True)
class Attribution:
    """One text's. contributions float64 [time]; bias None where the method has none.

    positions: what an index of contributions stands for: a token, or the top layer's input at its place, which in
    stacked and bidirectional models other tokens have entered too.
    """

    method: Method
    contributions: NDArray[np.float64]
    bias: float | None
    logit: float
    positions: Positions = "tokens"

    @property
    def completeness_error(self) -> float:
        """|sum of contributions + bias - logit|"""
        return abs(float(self.contributions.sum()) + (self.bias or 0.0) - self.logit)


def attribute(
    network: Classifier | Tagger,
    run: Pass,
    activations: Activations,
    targets: Sequence[int],
    timesteps: Sequence[int] | None = None,
    method: Method = "secant",
) -> list[Attribution]:
    """One logit of each text of `run`, by any method but occlusion.

    Args:   run and activations of one padded batch; targets: a label's index for each text (a tag's); timesteps: one
            for each text, taggers alone.
    Raises: OptionError, SelectionError.
    """
    readout = read_out(network, run, targets, timesteps)
    if method == "secant":
        found = list(_secant(network, run, activations, targets, timesteps))
    elif method == "cell_additive":
        found = _cell_additive(network.encoder, run, activations, readout)
    elif method == "gradient_x_input":
        found = _gradient_x_input(network.encoder, run, activations, readout)
    else:
        raise OptionError(f"method is {method!r}: allowed here are secant, cell_additive and gradient_x_input")
    for each in found:
        if not np.isfinite(each.contributions).all():
            raise OptionError(
                f"{method} contributions of this text of {len(each.contributions)} tokens grow with distance beyond "
                "every number: use occlusion, or a shorter text"
            )
    return found


def _secant(
    network: Classifier | Tagger,
    run: Pass,
    activations: Activations,
    targets: Sequence[int],
    timesteps: Sequence[int] | None,
) -> Iterator[Attribution]:
    """Each text alone in float64: see `models.analysis.precise`."""
    for row, target in enumerate(targets):
        alone, recorded = precisely(network.encoder, run, activations, row)
        readout = read_out(network, alone, [target], None if timesteps is None else [timesteps[row]])
        linear = backward(network.encoder, recorded, readout.weights, alone.lengths, "secant")
        (contributions,) = _times_input(linear, alone)
        bias = float(linear.bias[0]) + float(readout.bias[0])
        yield Attribution("secant", contributions, bias, float(readout.logit[0]))


def _gradient_x_input(encoder: Encoder, run: Pass, activations: Activations, readout: Readout) -> list[Attribution]:
    each = _times_input(backward(encoder, activations, readout.weights, run.lengths, "tangent"), run)
    return [Attribution("gradient_x_input", c, None, float(z)) for c, z in zip(each, readout.logit, strict=True)]


def _cell_additive(encoder: Encoder, run: Pass, activations: Activations, readout: Readout) -> list[Attribution]:
    """The same backward step with h_{t-1} held as well, so that only c ties the steps together."""
    if encoder.cell != "lstm":
        raise OptionError("cell_additive takes an LSTM's cell_state apart, and this model is an RNN: use secant")
    lengths = run.lengths.tolist()
    inside = (np.arange(run.top.shape[1])[:, None] < np.asarray(lengths))[:, :, None]
    total = np.zeros(inside.shape[:2])
    for d, direction in enumerate(encoder.directions):
        reading = slice(None, None, -1 if direction == "reverse" else 1)
        values = {name: host(v).swapaxes(0, 1)[reading] for name, v in activations[-1][d].items()}
        parts = through_time(deposits_of(values, inside[reading]), readout.weights[d][reading], None)
        total += parts.sum((2, 3), dtype=np.float64)[reading]
    positions: Positions = "tokens" if len(encoder.layers) == len(encoder.directions) == 1 else "top_layer_input"
    return [
        Attribution("cell_additive", total[:n, b], float(readout.bias[b]), float(readout.logit[b]), positions)
        for b, n in enumerate(lengths)
    ]


def _times_input(linear: Linear, run: Pass) -> list[NDArray[np.float64]]:
    """dx_s . x_s of each text, [time] without padding."""
    x: Array = host(run.inputs[0])
    parts = np.einsum("bti,bti->bt", linear.inputs, x, dtype=np.float64)
    return [parts[b, :n] for b, n in enumerate(run.lengths.tolist())]


def occlusion(
    network: Classifier | Tagger,
    run_without: Callable[[Sequence[int]], Pass],
    length: int,
    logit: float,
    target: int,
    timestep: int | None = None,
) -> Attribution:
    """The logit of a text of `length` tokens, minus that of the text without each token in turn.

    Args: run_without: re-runs the text once for each of the timesteps given, without that token; asked for at most
          `OCCLUDED_TOKENS` tokens at a time. A text of one token leaves nothing to run: the states are the initial
          ones, zero, and the logit the head's bias.

    A tagger is read where token `timestep` has moved to. Without that token itself it is read at the gap: the forward
    state before it, the reverse state after it.
    """
    without = np.full(length, float(network.head.bias[target]))
    size = max(1, OCCLUDED_TOKENS // length)
    for first in range(0, length if length > 1 else 0, size):
        deleted = range(first, min(first + size, length))
        without[deleted.start : deleted.stop] = _logits(network, run_without(deleted), deleted, target, timestep)
    return Attribution("occlusion", logit - without, None, logit)


def _logits(
    network: Classifier | Tagger, run: Pass, deleted: Sequence[int], target: int, timestep: int | None
) -> Array:
    if isinstance(network, Classifier):
        return host(network.logits(run)[:, target])
    if timestep is None:
        raise OptionError("timestep is missing: an NER model has an output at every timestep, so name one")
    states: list[Tensor] = []
    rows = torch.arange(len(deleted), device=run.lengths.device)
    for d, h in enumerate(run.hidden_states[-1]):
        h = torch.nn.functional.pad(h, (0, 0, 1, 1))  # before the first token and after the last the state is zero
        gap = timestep - 1 + d  # forward: the token before; reverse: the one after, which has moved to its place
        at = [gap if s == timestep else timestep - (s < timestep) for s in deleted]
        states.append(h[rows, torch.tensor(at, device=h.device) + 1])
    return host(network.head(torch.cat(states, dim=-1))[:, target])
