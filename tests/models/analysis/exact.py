"""Shapley's values read off all subsets, one step after the other: the slow oracle."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from models.analysis.subject import Subject
from tests.models.analysis.networks import Kind, inputs, logit_of_kept, make, subject_of


def subject(kind: Kind, length: int, timestep: int = 2, std: float = 0.5) -> Subject:
    network, (x, _) = make(kind, seed=7, std=std), inputs(length, seed=7)
    return subject_of(network, x[0], 1, timestep if kind.read == "tagger" else None)


def shapley_of(one: Subject, by_steps: bool = True) -> NDArray[np.float64]:
    """Over all subsets of the other tokens, weighted by the orders in which just they come before: [time].

    by_steps: each subset's logit by the oracle's loop; else by the runner, which other tests hold against it.
    """
    length = len(one)
    every = [s for n in range(length + 1) for s in itertools.combinations(range(length), n)]
    logits = [logit_of_kept(one, s) for s in every] if by_steps else one.logits_of_kept(every).tolist()
    value = dict(zip(every, logits, strict=True))
    total = np.zeros(length)
    for before, logit in value.items():
        for t in set(range(length)) - set(before):
            orders = math.factorial(len(before)) * math.factorial(length - 1 - len(before))
            total[t] += orders / math.factorial(length) * (value[tuple(sorted((*before, t)))] - logit)
    return total
