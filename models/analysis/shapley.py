r"""Shapley values of leaving tokens out: what a token changes, in the mean over all orders in which a text can be put.

    contribution_s = mean over orders of (logit of s and the tokens before it in the order - logit without s)

Every order's differences add up to logit - bias, and so do the values. Three ways to them: all subsets of a short text,
exactly; orders, each read at every token, where a number of them or an error is asked for; else, for the price of few
predictions, orders that are read at one place each, and a regression (`coalitions`). The draws are seeded by the text,
so the same text always gets the same answer.

Source: Shapley 1953. Equality with all subsets shown in tests/models/analysis.
"""

import math

import numpy as np

from . import coalitions, orders
from .attribution import Attribution, Options
from .subject import Subject


def shapley(subject: Subject, options: Options) -> Attribution:
    """standard_error: of what other draws would have said; zero where all subsets were read. Of a text of more tokens
    than pairs it rests on the gradient as well, and a token may be off by more.

    Raises: OptionError for permutations or an error out of bounds.
    """
    tokens, random = len(subject), np.random.default_rng(subject.seed)
    if options.given:
        values, error, permutations = orders.estimate(subject, options, random)
    elif coalitions.reads_every_subset(tokens):
        values, error, permutations = coalitions.exact(subject), np.zeros(tokens), math.factorial(tokens)
    else:
        values, error = coalitions.estimate(subject, random)
        permutations = 2 * coalitions.pairs_of(tokens)  # an order and its reverse, each cut once
    return Attribution(
        "shapley",
        subject.output,
        values,
        subject.bias,
        subject.logit,
        permutations=permutations,
        standard_error=error,
    )


def tokens_read(tokens: int, options: Options) -> int:
    """The price of a text of so many tokens: tokens that are read. A pass back counts as two forward.

    Raises: OptionError.
    """
    if options.given:
        return orders.permutations_of(options) * tokens * (tokens + 1) // 2
    return coalitions.tokens_read(tokens)
