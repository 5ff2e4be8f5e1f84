r"""The lecture's claim as a number: how much of the output still hangs on a token, against its distance.

gradient_norm[s] = || d logit / d x_s ||_2, by the closed form of `models.analysis.backward`; by x_s, not h_s, for
d / d h_s misses what an LSTM's cell carries. A half-life is that of the line through log value. Nothing is normalised:
an RNN and an LSTM stand on one absolute axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import OptionError
from ..network.network import Classifier, Tagger
from ..recurrence.encoder import Pass
from ..runtime.runner import Activations
from .arrays import Array, fetched
from .backward import backward
from .readout import read_out

Values = NDArray[np.float64]
FEWEST = 3  # values that a line is laid through


@dataclass(frozen=True)
class Fading:
    """value[k] is at distance[k] tokens from the last one, ascending.

    half_life_tokens: None where nothing fades, and half_life_note says why; else half_life_note is None.
    """

    distance: NDArray[np.int64]
    value: Values
    half_life_tokens: float | None
    half_life_note: str | None


def gradient_norms(
    network: Classifier | Tagger,
    run: Pass,
    activations: Activations,
    targets: Sequence[int],
    timesteps: Sequence[int] | None = None,
) -> list[Values]:
    """Of one logit of each text, by each of its x_s: [time] each, 0 where the logit does not hang on x_s.

    Args:   run and activations of one padded batch; targets: a label's index for each text (a tag's); timesteps: one
            for each text, taggers alone.
    Raises: OptionError where one is beyond every number, SelectionError.
    """
    norms = unchecked_norms(network, run, activations, targets, timesteps)
    if not all(np.isfinite(n).all() for n in norms):
        raise OptionError("the gradient of this text grows with distance beyond every number: use a shorter text")
    return norms


def unchecked_norms(
    network: Classifier | Tagger,
    run: Pass,
    activations: Activations,
    targets: Sequence[int],
    timesteps: Sequence[int] | None = None,
) -> list[Values]:
    """As `gradient_norms`, with what is beyond every number as infinite or NaN."""
    readout = read_out(network, run, targets, timesteps)
    gradient = backward(network.encoder, activations, readout.weights, run.lengths, "tangent").inputs
    norms = fetched(_norms(gradient))
    return [norms[b, :n] for b, n in enumerate(run.lengths.tolist())]


def _norms(gradient: Array) -> Array:
    """|| . ||_2 of the last axis, in float64: float32 squares would underflow below 1e-19."""
    if isinstance(gradient, Tensor):
        return gradient.double().square().sum(2).sqrt()
    return np.sqrt(np.square(gradient, dtype=np.float64).sum(2))


def fading(value: Values) -> Fading:
    """The curve of one text's values in reading order, [time]; the last token comes first, at distance 0."""
    by_distance = value[::-1].astype(np.float64)
    distance = np.arange(len(value))
    tokens = half_life(distance, by_distance)
    return Fading(distance, by_distance, tokens, None if tokens else _note(by_distance))


def _note(value: Values) -> str:
    """Why there is no half-life."""
    positive = int((value > 0).sum())
    if positive < FEWEST:
        return f"a half-life needs {FEWEST} tokens with a gradient above zero, and this text has {positive}"
    return "the gradient does not fall with distance in this text, so there is nothing to halve"


def half_life(distance: NDArray[np.int64], value: Values) -> float | None:
    """ln 2 / -slope of the least-squares line through log value, in tokens.

    Zeros are left out. None where fewer than `FEWEST` values are left or the line does not fall.
    """
    there = value > 0
    if there.sum() < FEWEST:
        return None
    x, y = distance[there] - distance[there].mean(), np.log(value[there])
    slope = float((x * y).sum() / (x * x).sum())
    return float(np.log(2) / -slope) if slope < 0 else None
