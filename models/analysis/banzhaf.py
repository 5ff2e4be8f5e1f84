r"""Banzhaf values of leaving tokens out: what a token changes, in the mean over halves of the rest of the text.

    contribution_s = mean over subsets S of the other tokens of (logit of S and s - logit of S)

Shapley's value asks the same over orders, where most of a long text is nearly whole or nearly empty; halves are where
one reading says something about every token. They come in pairs, S and the tokens that S leaves out, whose difference

    logit of S - logit of the rest = sum over s of +-contribution_s + what is left        + where s is in S

is free of what any two tokens share. Which tokens are in S is a row of a Hadamard matrix, so that any two tokens are
apart as often as together and each one's value is a plain mean, with the least error that so many readings allow. A
short text has all its subsets read, and the values are exact. A text of more tokens than pairs has not: a ridge
regression then moves the gradient times the input, scaled to the readings, only as far as they say; its strength is
that of least generalised cross-validation. Values need not add up, and a token that changes nothing gets nothing. The
draws are seeded by the text, so the same text always gets the same answer.

Source: Banzhaf 1965; as a regression Hammer & Holzman 1992; against noise Wang & Jia 2023; folded-over designs Box &
Wilson 1951; cross-validation Golub, Heath & Wahba 1979. Equality with all subsets shown in tests/models/analysis.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from .attribution import Attribution, Options
from .closed_form import gradient_x_input
from .subject import Subject

_FEWEST, _MOST, _WORK = 50, 128, 50 * 512  # pairs: at least, at most, and pairs x tokens
_STRENGTHS = (1e-6, 0.1, 0.3, 1.0, 3.0, 10.0)  # of the ridge, times the pairs
_DOUBT, _MOST_DOUBT = 0.3, 4.0  # prior variance of a contribution: of any, and what a large gradient adds at most
Values = NDArray[np.float64]
Signs = NDArray[np.float64]  # [pair, token]: 1 where the token is read in the first of the pair, -1 in the second


def banzhaf(subject: Subject, options: Options) -> Attribution:
    """standard_error: of what other readings would have said; zero where all were made."""
    length = len(subject)
    every = reads_every_subset(length)
    signs = _every_pair(length) if every else _balanced(pairs_of(length), length, np.random.default_rng(subject.seed))
    differences = _differences(subject, signs)
    if every:
        values, error = signs.T @ differences / len(signs), np.zeros(length)
    else:
        prior = _prior(subject, signs, differences) if length > len(signs) else Prior(np.zeros(length), np.ones(length))
        values, error = ridge(signs, differences, prior)
    return Attribution("banzhaf", subject.output, values, None, subject.logit, standard_error=error)


def pairs_of(tokens: int) -> int:
    """How many pairs of halves are read of a text of so many tokens; a pair reads every token once."""
    if reads_every_subset(tokens):
        return 1 << max(0, tokens - 1)
    return max(_FEWEST, min(_MOST, _WORK // tokens))


def reads_every_subset(tokens: int) -> bool:
    return tokens <= _MOST.bit_length()


@dataclass(frozen=True)
class Prior:
    """What is thought of the contributions before reading: mean and, up to a common factor, variance [token]."""

    mean: Values
    variance: Values


def ridge(signs: Signs, differences: Values, prior: Prior) -> tuple[Values, Values]:
    """The contributions that explain the differences, drawn to the prior; and their standard errors: [token] each."""
    pairs, reach = len(signs), signs * prior.variance  # reach: covariance of a difference and a contribution
    # torch's, for its threads are as many as were asked for, and numpy's are all: for so small a matrix they cost more
    sizes, axes = (part.numpy() for part in torch.linalg.eigh(torch.from_numpy(reach @ signs.T)))
    seen = axes.T @ (differences - signs @ prior.mean)

    def left(strength: float) -> tuple[float, float]:
        """The square of what is not explained, and how many of the readings were free to be."""
        free = strength / (sizes + strength)
        return float(((free * seen) ** 2).sum()), float(free.sum())

    def cross_validated(strength: float) -> float:
        square, free = left(strength)
        return square * pairs / free**2

    strength = min((pairs * s for s in _STRENGTHS), key=cross_validated)
    square, free = left(strength)
    moved = reach.T @ axes
    values = prior.mean + moved @ (seen / (sizes + strength))
    unknown = prior.variance - (moved**2 / (sizes + strength)).sum(1)
    return values, np.sqrt(square / free / strength * np.maximum(unknown, 0))


def _prior(subject: Subject, signs: Signs, differences: Values) -> Prior:
    """The gradient times the input, in units of its mean size; its scale fits the differences."""
    gradient = gradient_x_input(subject, Options()).contributions
    size = float(np.abs(gradient).mean())
    relative = gradient / size if size > 0 else np.zeros_like(gradient)
    foretold = signs @ relative
    norm = float(foretold @ foretold)
    scale = float(foretold @ differences) / norm if norm > 0 else 0.0
    return Prior(scale * relative, _DOUBT + np.minimum(np.abs(relative), _MOST_DOUBT))


def _differences(subject: Subject, signs: Signs) -> Values:
    """The logit of each pair's first half minus its second's: [pair]."""
    halves = np.concatenate([signs, -signs]) > 0
    first, second = subject.logits_of_kept([np.flatnonzero(half).tolist() for half in halves]).reshape(2, -1)
    difference: Values = first - second
    return difference


def _every_pair(length: int) -> Signs:
    """All subsets of the tokens with the first of them; their partners are those without."""
    numbers = 2 * np.arange(1 << (length - 1)) + 1
    return np.where(numbers[:, None] >> np.arange(length) & 1, 1.0, -1.0)


def _balanced(pairs: int, length: int, random: np.random.Generator) -> Signs:
    """Rows of Sylvester's Hadamard matrices, each with its columns drawn anew and turned over at random."""
    order = 1 << (length - 1).bit_length()
    blocks: list[Signs] = []
    for start in range(0, pairs, order):
        rows, columns = random.permutation(order)[: pairs - start], random.permutation(order)[:length]
        odd = np.bitwise_count(rows[:, None] & columns) & 1
        blocks.append(np.where(odd, -1.0, 1.0) * random.choice((-1.0, 1.0), length))
    return np.concatenate(blocks)
