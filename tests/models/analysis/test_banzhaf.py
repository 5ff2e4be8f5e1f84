"""Banzhaf values against all subsets, read one step after the other."""

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.analysis import banzhaf
from models.analysis.attribution import Options
from models.analysis.banzhaf import Prior, pairs_of, ridge
from models.analysis.closed_form import gradient_x_input
from models.analysis.methods import METHODS, TextCost, attribute
from models.analysis.subject import Subject
from tests.models.analysis.networks import KINDS, Kind, inputs, logit_of_kept, make, subject_of

SHALLOW = [k for k in KINDS if k.layers < 3]
FORWARD = Kind("lstm", ("forward",), 1, "last_state")


def subject(kind: Kind, length: int, timestep: int = 2, std: float = 0.5) -> Subject:
    network, (x, _) = make(kind, seed=7, std=std), inputs(length, seed=7)
    return subject_of(network, x[0], 1, timestep if kind.read == "tagger" else None)


def exact(one: Subject) -> NDArray[np.float64]:
    """The mean over all subsets of the other tokens of what the token adds."""
    length = len(one)
    value = {s: logit_of_kept(one, s) for n in range(length + 1) for s in itertools.combinations(range(length), n)}
    return with_and_without(value, length)


def with_and_without(value: dict[tuple[int, ...], float], length: int) -> NDArray[np.float64]:
    total = np.zeros(length)
    for kept, logit in value.items():
        for t in range(length):
            total[t] += logit if t in kept else -logit
    return total / 2 ** (length - 1)


@pytest.mark.parametrize("kind", SHALLOW, ids=str)
def test_a_short_texts_values_are_those_of_all_subsets(kind: Kind) -> None:
    one = subject(kind, 6)
    found = attribute(one, "banzhaf")
    assert np.abs(found.contributions - exact(one)).max() < 1e-12
    assert found.standard_error is not None
    assert not found.standard_error.any()
    assert found.bias is None


@pytest.mark.parametrize("kind", [k for k in KINDS if k.layers == 1], ids=str)
def test_a_longer_texts_are_within_their_standard_error_of_all_subsets(kind: Kind) -> None:
    one = subject(kind, 11, timestep=5)
    every = [s for n in range(12) for s in itertools.combinations(range(11), n)]
    expected = with_and_without(dict(zip(every, one.logits_of_kept(every).tolist(), strict=True)), 11)
    found = attribute(one, "banzhaf")
    assert found.standard_error is not None
    assert (found.standard_error > 0).all()
    assert (np.abs(found.contributions - expected) <= 4 * found.standard_error).all()
    assert found.standard_error.max() < 0.5 * np.abs(expected).max()
    assert np.array_equal(attribute(one, "banzhaf").contributions, found.contributions)


def test_the_standard_error_is_as_large_as_the_errors_are() -> None:
    kinds = [k for k in KINDS if k.layers == 1]
    ratios = []
    every = [s for n in range(11) for s in itertools.combinations(range(10), n)]
    for kind in kinds:
        one = subject(kind, 10, timestep=4)
        expected = with_and_without(dict(zip(every, one.logits_of_kept(every).tolist(), strict=True)), 10)
        found = attribute(one, "banzhaf")
        assert found.standard_error is not None
        ratios.append((found.contributions - expected) / found.standard_error)
    spread = np.sqrt(np.mean(np.square(ratios)))
    assert 0.4 < spread < 1.6


def test_tokens_are_apart_as_often_as_together_and_each_in_half_of_the_readings() -> None:
    signs = banzhaf._balanced(128, 120, np.random.default_rng(3))
    assert np.array_equal(signs.T @ signs, 128 * np.eye(120))
    two = banzhaf._balanced(128, 33, np.random.default_rng(3))  # two matrices of 64
    assert np.array_equal(two.T @ two, 128 * np.eye(33))
    assert not np.array_equal(two[:64], two[64:])


def test_what_a_linear_logit_gives_each_token_is_found_whatever_the_prior() -> None:
    signs = banzhaf._balanced(128, 100, np.random.default_rng(0))
    truth = np.random.default_rng(1).normal(size=100)
    values, error = ridge(signs, signs @ truth, Prior(np.full(100, 5.0), np.linspace(0.1, 4, 100)))
    assert np.abs(values - truth).max() < 1e-3
    assert error.max() < 1e-2


def test_the_ridge_is_the_solution_of_its_normal_equations() -> None:
    """With fewer readings than tokens: for one of the strengths, the minimum of the penalised squares."""
    random = np.random.default_rng(2)
    signs = banzhaf._balanced(60, 200, random)
    differences = signs @ random.normal(size=200) + random.normal(size=60)
    prior = Prior(random.normal(size=200), random.uniform(0.3, 4, size=200))
    values, _ = ridge(signs, differences, prior)
    rest = differences - signs @ prior.mean
    misses = []
    for strength in banzhaf._STRENGTHS:
        normal = signs.T @ signs + 60 * strength * np.diag(1 / prior.variance)
        misses.append(np.abs(prior.mean + np.linalg.solve(normal, signs.T @ rest) - values).max())
    assert min(misses) < 1e-6


def test_a_text_of_more_tokens_than_pairs_leans_on_the_gradient() -> None:
    """Of a nearly linear network the gradient times the input is the answer, and no reading could tell 200 apart."""
    one = subject(Kind("rnn", ("forward",), 1, "mean_max"), 200, std=0.1)
    found, gradient = attribute(one, "banzhaf").contributions, gradient_x_input(one, Options()).contributions
    signs = banzhaf._balanced(pairs_of(200), 200, np.random.default_rng(one.seed))
    alone, _ = ridge(signs, banzhaf._differences(one, signs), Prior(np.zeros(200), np.ones(200)))
    assert np.corrcoef(found, gradient)[0, 1] > np.corrcoef(alone, gradient)[0, 1]
    assert np.corrcoef(found, gradient)[0, 1] > 0.8


def test_a_token_that_changes_nothing_gets_nothing_and_the_only_token_gets_all() -> None:
    network, (x, _) = make(Kind("lstm", ("forward",), 1, "last_state"), seed=7), inputs(1, seed=7)
    only = subject_of(network, x[0], 1)
    assert attribute(only, "banzhaf").contributions == pytest.approx([only.logit - only.bias], abs=1e-12)
    tagger = subject(Kind("lstm", ("forward",), 1, "tagger"), 7, timestep=3)
    assert np.abs(attribute(tagger, "banzhaf").contributions[4:]).max() < 1e-12  # read later than the tag


def test_the_price_of_a_long_text_is_at_most_64_predictions_and_a_short_ones_no_more_than_a_texts_of_512() -> None:
    price = METHODS["banzhaf"].price
    costs = {n: price(TextCost(n, False, Options())) for n in (1, 2, 8, 9, 100, 129, 240, 241, 511, 512, 513, 4096)}
    assert all(cost <= 64 * max(n, 512) for n, cost in costs.items())
    assert costs[1] == 1
    assert costs[8] == 128 * 8
    assert costs[512] == 53 * 512


@pytest.mark.parametrize("length", [3, 9, 70, 200])
def test_what_it_reads_is_its_price(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    one = subject(FORWARD, length)
    read, runner = 0, type(one.runs.runner)
    run = runner._run

    def counting(self, x, lengths: torch.Tensor, *options):  # type: ignore[no-untyped-def]
        nonlocal read
        read += int(lengths.sum())
        return run(self, x, lengths, *options)

    monkeypatch.setattr(runner, "_run", counting)
    attribute(one, "banzhaf")
    price = METHODS["banzhaf"].price(TextCost(length, True, Options()))
    backward = 2 * length if length > pairs_of(length) else 0
    assert price - backward <= read <= price + length  # the text's own pass
