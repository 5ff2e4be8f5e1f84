r"""Three answers from one recorded pass, in closed form.

    secant            contribution_s = dx_s . x_s, dx by secant slopes and the gates held (`models.analysis.slopes`);
                      with the biases' share they sum to the logit. Any depth, both directions, both cells.
    cell_additive     the top layer's c_t = sum_s A[t,s] i_s g_s, so contribution_s = sum_t w_t . (o_t rho(c_t) A[t,s]
                      i_s g_s), A as in `models.analysis.memory`; LSTM alone. Sums to the logit with the head's bias.
    gradient_x_input  dx_s . x_s with the true gradient; need not add up.

The first two are exact decompositions, for study: the gates, which they hold, depend on the tokens too, and secant
slopes grow with distance where the gradient fades, until the terms only cancel.

Source: gates held as in Arras et al. 2019; cell_additive Murdoch & Szlam 2017.
"""

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from ..recurrence.encoder import Pass
from .arrays import einsum, fetched, inside_mask, reading_order, total, where_it_is
from .attribution import Attribution, Options, Positions
from .backward import Linear, backward, through_time
from .precise import precisely
from .readout import read_out
from .slopes import deposits_of
from .subject import Subject


def secant(subject: Subject, options: Options) -> Attribution:
    """In float64: see `models.analysis.precise`.

    Raises: OptionError where contributions grow beyond every number.
    """
    encoder, output = subject.network.encoder, subject.output
    run, recorded = precisely(encoder, *subject.runs.record(), 0)
    readout = read_out(subject.network, run, [output.index], subject.timesteps)
    linear = backward(encoder, recorded, readout.weights, run.lengths, "secant")
    bias = float(linear.bias[0]) + float(readout.bias[0])
    contributions = _finite("secant", _times_input(linear, run))
    return Attribution("secant", output, contributions, bias, float(readout.logit[0]))


def gradient_x_input(subject: Subject, options: Options) -> Attribution:
    """Raises: OptionError where the gradient grows beyond every number."""
    run, recorded = subject.runs.record()
    readout = read_out(subject.network, run, [subject.output.index], subject.timesteps)
    linear = backward(subject.network.encoder, recorded, readout.weights, run.lengths, "tangent")
    contributions = _finite("gradient_x_input", _times_input(linear, run))
    return Attribution("gradient_x_input", subject.output, contributions, None, float(readout.logit[0]))


def cell_additive(subject: Subject, options: Options) -> Attribution:
    """The same backward step with h_{t-1} held as well, so that only c ties the steps together."""
    encoder = subject.network.encoder
    run, recorded = subject.runs.record()
    readout = read_out(subject.network, run, [subject.output.index], subject.timesteps)
    inside = inside_mask(run.lengths, len(subject), readout.bias)
    contributions = np.zeros(len(subject))
    for d, direction in enumerate(encoder.directions):
        values = {name: reading_order(where_it_is(v).swapaxes(0, 1), direction) for name, v in recorded[-1][d].items()}
        parts = through_time(deposits_of(values, inside), reading_order(readout.weights[d], direction), None)
        contributions += reading_order(fetched(total(parts, (1, 2, 3))), direction)
    positions: Positions = "tokens" if len(encoder.layers) == len(encoder.directions) == 1 else "top_layer_input"
    bias, logit = float(readout.bias[0]), float(readout.logit[0])
    return Attribution("cell_additive", subject.output, contributions, bias, logit, positions)


def _times_input(linear: Linear, run: Pass) -> NDArray[np.float64]:
    """dx_s . x_s of one text: [time]."""
    return fetched(einsum("ti,ti->t", linear.inputs[0], where_it_is(run.inputs[0])[0]))


def _finite(method: str, contributions: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(contributions).all():
        raise OptionError(
            f"{method} contributions of this text of {len(contributions)} tokens grow with distance beyond every "
            "number: use prefix or occlusion, or a shorter text"
        )
    return contributions
