r"""Shapley values from whole orders of the tokens: each is read at every token, and adds up to logit - bias by itself.

Orders come in antithetic pairs, each with its reverse, which cancels what tokens share; the standard error is that of
the pairs' means.

Source: sampling as in Castro et al. 2009, antithetic as in Mitchell et al. 2022.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from .attribution import Options
from .subject import Subject

FEWEST, MOST = 8, 1024  # permutations
Values = NDArray[np.float64]


def estimate(subject: Subject, options: Options, random: np.random.Generator) -> tuple[Values, Values, int]:
    """The values [time], their standard errors [time], and how many orders were read.

    Raises: OptionError.
    """
    pairs = permutations_of(options) // 2
    means = np.empty((0, len(subject)))
    while len(means) < pairs:
        step = min(FEWEST // 2, pairs - len(means)) if options.wanted_error is not None else pairs
        means = np.concatenate([means, [_pair(subject, random.permutation(len(subject))) for _ in range(step)]])
        if options.wanted_error is not None and _standard_error(means).max() <= options.wanted_error:
            break
    return means.mean(0), _standard_error(means), 2 * len(means)


def permutations_of(options: Options) -> int:
    """How many permutations are read, at most where an error is wanted.

    Raises: OptionError.
    """
    count, error = options.permutations, options.wanted_error
    if count is not None and error is not None:
        raise OptionError("permutations and wanted_error are both given: name one")
    if count is not None:
        if not FEWEST <= count <= MOST or count % 2:
            raise OptionError(f"permutations is {count}: an even number from {FEWEST} to {MOST} is allowed")
        return count
    if error is None or not (math.isfinite(error) and error > 0):
        raise OptionError(f"wanted_error is {error}: a number above 0 is allowed")
    return MOST


def _pair(subject: Subject, order: NDArray[np.int64]) -> Values:
    """The mean of an order's differences and its reverse's: [time]."""
    kept = [sorted(way[:n].tolist()) for way in (order, order[::-1]) for n in range(len(order) + 1)]
    logits = subject.logits_of_kept(kept).reshape(2, -1)
    differences = np.empty((2, len(order)))
    differences[0, order], differences[1, order[::-1]] = np.diff(logits, axis=1)
    mean: Values = differences.mean(0)
    return mean


def _standard_error(means: Values) -> Values:
    error: Values = means.std(0, ddof=1) / math.sqrt(len(means))
    return error
