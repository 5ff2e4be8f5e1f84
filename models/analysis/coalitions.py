r"""Shapley values from few readings: pairs of a subset of the text's tokens and the tokens that it leaves out.

    logit of S - logit of the rest = sum over s of +-contribution_s + what is left        + where s is in S

is free of what any two tokens share. A pair is an order of the tokens and its reverse, cut at one place instead of at
every token; as regression the values are those of least weighted squares that add up to logit - bias, a pair of k and
T - k tokens having the weight 1 / (k (T - k)) where every k is drawn as often.

A short text has all its subsets read, and the values are exact. A text of more tokens than pairs is short of readings:
most of them are halves then, which say most about every token, rows of a Hadamard matrix so that any two tokens are
apart as often as together; and a ridge regression moves the gradient times the input, scaled to the readings, only as
far as they say. Its strength is that of least generalised cross-validation.

Source: Shapley 1953; as a regression Charnes et al. 1988, Lundberg & Lee 2017; in pairs, with sizes drawn alike, Musco
& Witter 2025; folded-over designs Box & Wilson 1951; cross-validation Golub, Heath & Wahba 1979.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from .attribution import Options
from .closed_form import gradient_x_input
from .subject import Subject

_FEWEST, _MOST, _WORK = 50, 128, 50 * 512  # pairs: at least, at most, and pairs x tokens
_HALVES = 0.75  # of the pairs where tokens outnumber them; the rest tells how sizes differ
_STRENGTHS = (1e-6, 0.1, 0.3, 1.0, 3.0, 10.0)  # of the ridge, in units of what the readings say of a token in the mean
_DOUBT, _MOST_DOUBT = 0.3, 4.0  # prior variance of a contribution: of any, and what a large gradient adds at most
_PRIOR = 3  # what the gradient costs, in predictions
Values = NDArray[np.float64]
Signs = NDArray[np.float64]  # [pair, token]: 1 where the token is read in the first of the pair, -1 in the second


def exact(subject: Subject) -> Values:
    """contribution_s = sum over S with s of (|S| - 1)! (T - |S|)! / T! (logit of S - logit of the rest): [time]"""
    length = len(subject)
    signs = _every_pair(length)
    share = np.array([0.0] + [1 / (length * math.comb(length - 1, k - 1)) for k in range(1, length + 1)])
    sizes = _sizes(signs)[:, None]
    values: Values = np.where(signs > 0, share[sizes], -share[length - sizes]).T @ _differences(subject, signs)
    return values


def estimate(subject: Subject, random: np.random.Generator) -> tuple[Values, Values]:
    """The values and their standard errors: [time] each."""
    length, pairs = len(subject), pairs_of(len(subject))
    halves = round(_HALVES * pairs) if _needs_prior(length) else 0
    signs = np.concatenate([_halves(halves, length, random), _of_every_size(pairs - halves, length, random)])
    differences, sizes = _differences(subject, signs), _sizes(signs)
    readings = Readings(signs, differences, length**2 / 4 / (sizes * (length - sizes)))
    prior = _gradient(subject, signs, differences) if _needs_prior(length) else Prior(np.zeros(length), np.ones(length))
    return ridge(readings, prior, subject.logit - subject.bias)


def pairs_of(tokens: int) -> int:
    """How many pairs are read of a text of so many tokens; a pair reads every token once."""
    if reads_every_subset(tokens):
        return 1 << max(0, tokens - 1)
    return max(_FEWEST, min(_MOST, _WORK // tokens))


def reads_every_subset(tokens: int) -> bool:
    return tokens <= _MOST.bit_length()


def tokens_read(tokens: int) -> int:
    return (pairs_of(tokens) + (_PRIOR if _needs_prior(tokens) else 0)) * tokens


@dataclass(frozen=True)
class Readings:
    """signs [pair, token]; differences: the logit of each pair's first less its second's, and weights: [pair]."""

    signs: Signs
    differences: Values
    weights: Values


@dataclass(frozen=True)
class Prior:
    """What is thought of the contributions before reading: mean and, up to a common factor, variance [token]."""

    mean: Values
    variance: Values


def ridge(readings: Readings, prior: Prior, total: float) -> tuple[Values, Values]:
    """The contributions of that total which explain the differences, drawn to the prior; and their standard errors.

    Both [token]. The prior is conditioned on the total first: its covariance is diag(v) - v v' / sum v.
    """
    whole = prior.variance.sum()
    mean = prior.mean + prior.variance * (total - prior.mean.sum()) / whole
    root = np.sqrt(readings.weights)
    signs, rest = readings.signs * root[:, None], (readings.differences - readings.signs @ mean) * root
    # reach: covariance of a difference and a contribution
    reach = signs * prior.variance - np.outer(signs @ prior.variance, prior.variance) / whole
    # torch's, for its threads are as many as were asked for, and numpy's are all: for so small a matrix they cost more
    sizes, axes = (part.numpy() for part in torch.linalg.eigh(torch.from_numpy(reach @ signs.T)))
    sizes, seen = np.maximum(sizes, 0), axes.T @ rest

    def left(strength: float) -> tuple[float, float]:
        """The square of what is not explained, and how many of the readings were free to be."""
        free = strength / (sizes + strength)
        return float(((free * seen) ** 2).sum()), float(free.sum())

    def cross_validated(strength: float) -> float:
        square, free = left(strength)
        return square * len(seen) / free**2

    strength = min((float(sizes.sum() / len(mean)) * s for s in _STRENGTHS), key=cross_validated)
    square, free = left(strength)
    moved = reach.T @ axes
    values = mean + moved @ (seen / (sizes + strength))
    unknown = prior.variance * (1 - prior.variance / whole) - (moved**2 / (sizes + strength)).sum(1)
    return values, np.sqrt(square / free / strength * np.maximum(unknown, 0))


def _needs_prior(tokens: int) -> bool:
    return tokens > pairs_of(tokens) and not reads_every_subset(tokens)


def _gradient(subject: Subject, signs: Signs, differences: Values) -> Prior:
    """The gradient times the input, in units of its mean size; its scale fits the differences."""
    gradient = gradient_x_input(subject, Options()).contributions
    size = float(np.abs(gradient).mean())
    relative = gradient / size if size > 0 else np.zeros_like(gradient)
    foretold = signs @ relative
    norm = float(foretold @ foretold)
    scale = float(foretold @ differences) / norm if norm > 0 else 0.0
    return Prior(scale * relative, _DOUBT + np.minimum(np.abs(relative), _MOST_DOUBT))


def _differences(subject: Subject, signs: Signs) -> Values:
    """The logit of each pair's first subset minus its second's: [pair]."""
    subsets = np.concatenate([signs, -signs]) > 0
    first, second = subject.logits_of_kept([np.flatnonzero(kept).tolist() for kept in subsets]).reshape(2, -1)
    difference: Values = first - second
    return difference


def _sizes(signs: Signs) -> NDArray[np.int64]:
    """Tokens of each pair's first subset: [pair]."""
    sizes: NDArray[np.int64] = (signs > 0).sum(1)
    return sizes


def _every_pair(length: int) -> Signs:
    """All subsets of the tokens with the first of them; their partners are those without."""
    numbers = 2 * np.arange(1 << (length - 1)) + 1
    return np.where(numbers[:, None] >> np.arange(length) & 1, 1.0, -1.0)


def _of_every_size(pairs: int, length: int, random: np.random.Generator) -> Signs:
    """Random subsets whose sizes are spread evenly over 1 to length - 1."""
    sizes = 1 + ((random.permutation(pairs) + random.random(pairs)) / pairs * (length - 1)).astype(np.int64)
    places = random.permuted(np.tile(np.arange(length), (pairs, 1)), axis=1)
    return np.where(places < sizes[:, None], 1.0, -1.0)


def _halves(pairs: int, length: int, random: np.random.Generator) -> Signs:
    """Rows of Sylvester's Hadamard matrices, each with its columns drawn anew and turned over at random."""
    order = 1 << (length - 1).bit_length()
    blocks: list[Signs] = [np.empty((0, length))]
    for start in range(0, pairs, order):
        rows, columns = random.permutation(order)[: pairs - start], random.permutation(order)[:length]
        odd = np.bitwise_count(rows[:, None] & columns) & 1
        blocks.append(np.where(odd, -1.0, 1.0) * random.choice((-1.0, 1.0), length))
    return np.concatenate(blocks)
