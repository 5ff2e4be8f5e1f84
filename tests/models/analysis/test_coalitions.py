"""Shapley values from few readings, against all subsets, and the regression against its optimality conditions."""

import math

import numpy as np
import pytest
import torch

from models.analysis import coalitions
from models.analysis.attribution import Options
from models.analysis.closed_form import gradient_x_input
from models.analysis.coalitions import Prior, Readings, pairs_of, ridge
from models.analysis.methods import METHODS, TextCost, attribute
from tests.models.analysis.exact import shapley_of, subject
from tests.models.analysis.networks import KINDS, Kind, inputs, make, subject_of

SHALLOW = [k for k in KINDS if k.layers < 3]
ONE_LAYER = [k for k in KINDS if k.layers == 1]
FORWARD = Kind("lstm", ("forward",), 1, "last_state")


@pytest.mark.parametrize("kind", SHALLOW, ids=str)
def test_a_short_texts_values_are_those_of_all_subsets(kind: Kind) -> None:
    one = subject(kind, 6)
    found = attribute(one, "shapley")
    assert np.abs(found.contributions - shapley_of(one)).max() < 1e-12
    assert found.standard_error is not None
    assert not found.standard_error.any()
    assert found.bias == pytest.approx(one.bias, abs=1e-12)
    assert found.completeness_error < 1e-12
    assert found.permutations == math.factorial(6)


@pytest.mark.parametrize("kind", ONE_LAYER, ids=str)
def test_a_longer_texts_are_within_their_standard_error_of_all_subsets(kind: Kind) -> None:
    one = subject(kind, 11, timestep=5)
    expected, found = shapley_of(one, by_steps=False), attribute(one, "shapley")
    assert found.standard_error is not None
    assert (found.standard_error > 0).all()
    assert (np.abs(found.contributions - expected) <= 4 * found.standard_error).all()
    assert found.standard_error.max() < 0.5 * np.abs(expected).max()
    assert found.completeness_error < 1e-9
    assert np.array_equal(attribute(one, "shapley").contributions, found.contributions)


@pytest.mark.parametrize("length", [9, 10, 12])
def test_the_standard_error_is_as_large_as_the_errors_are(length: int) -> None:
    ratios = []
    for kind in ONE_LAYER:
        one = subject(kind, length, timestep=4)
        found = attribute(one, "shapley")
        assert found.standard_error is not None
        ratios.append((found.contributions - shapley_of(one, by_steps=False)) / found.standard_error)
    assert 0.5 < np.sqrt(np.mean(np.square(ratios))) < 1.5


def test_a_long_texts_standard_error_is_as_large_as_its_errors_are() -> None:
    """More tokens than pairs, where the errors rest on the prior too; the truth by whole orders."""
    ratios = []
    for kind in ONE_LAYER:
        one = subject(kind, 140, timestep=70)
        found, truth = attribute(one, "shapley"), attribute(one, "shapley", Options(permutations=32))
        assert found.standard_error is not None
        assert truth.standard_error is not None
        spread = np.hypot(found.standard_error, truth.standard_error)
        ratios.append((found.contributions - truth.contributions) / spread)
    assert 0.5 < np.sqrt(np.mean(np.square(ratios))) < 1.6


def test_of_halves_any_two_tokens_are_apart_as_often_as_together_and_each_in_half_of_the_readings() -> None:
    signs = coalitions._halves(128, 120, np.random.default_rng(3))
    assert np.array_equal(signs.T @ signs, 128 * np.eye(120))
    two = coalitions._halves(128, 33, np.random.default_rng(3))  # two matrices of 64
    assert np.array_equal(two.T @ two, 128 * np.eye(33))
    assert not np.array_equal(two[:64], two[64:])


@pytest.mark.parametrize("length", [2, 9, 100, 512])
def test_subsets_of_every_size_are_spread_evenly_and_never_empty_or_whole(length: int) -> None:
    sizes = (coalitions._of_every_size(128, length, np.random.default_rng(1)) > 0).sum(1)
    assert sizes.min() >= 1
    assert sizes.max() <= length - 1
    counts = np.array([np.mean(sizes <= k) for k in range(1, length)])
    assert np.abs(counts - np.arange(1, length) / (length - 1)).max() <= 1 / 128


def readings(pairs: int, length: int, truth: np.ndarray, noise: float = 0.0) -> Readings:
    random = np.random.default_rng(2)
    signs = coalitions._of_every_size(pairs, length, random)
    return Readings(signs, signs @ truth + noise * random.normal(size=pairs), random.uniform(1, 5, size=pairs))


def test_what_a_linear_logit_gives_each_token_is_found_whatever_the_prior() -> None:
    truth = np.random.default_rng(1).normal(size=60)
    prior = Prior(np.full(60, 5.0), np.linspace(0.1, 4, 60))
    values, error = ridge(readings(128, 60, truth), prior, float(truth.sum()))
    assert np.abs(values - truth).max() < 1e-2
    assert error.max() < 1e-2
    scaled, _ = ridge(readings(128, 60, truth), Prior(prior.mean, 100 * prior.variance), float(truth.sum()))
    assert scaled == pytest.approx(values, rel=1e-6)


def test_the_ridge_is_the_solution_of_its_normal_equations_with_the_total_held() -> None:
    """With fewer readings than tokens: for one of the strengths, the minimum of the penalised squares (by Lagrange)."""
    random = np.random.default_rng(2)
    one = readings(60, 200, random.normal(size=200), noise=1.0)
    prior = Prior(random.normal(size=200), random.uniform(0.3, 4, size=200))
    values, _ = ridge(one, prior, 7.0)
    assert values.sum() == pytest.approx(7.0, abs=1e-9)
    covariance = np.diag(prior.variance) - np.outer(prior.variance, prior.variance) / prior.variance.sum()
    signs = one.signs * np.sqrt(one.weights)[:, None]
    unit = np.trace(signs @ covariance @ signs.T) / 200
    misses = []
    for strength in coalitions._STRENGTHS:
        normal = np.zeros((201, 201))
        normal[:200, :200] = signs.T @ signs + unit * strength * np.diag(1 / prior.variance)
        normal[200, :200] = normal[:200, 200] = 1
        right = signs.T @ (np.sqrt(one.weights) * one.differences) + unit * strength * prior.mean / prior.variance
        misses.append(np.abs(np.linalg.solve(normal, np.append(right, 7.0))[:200] - values).max())
    assert min(misses) < 1e-6


def test_all_pairs_by_the_kernels_weights_are_the_exact_values() -> None:
    """What the regression tends to: every pair but the whole text's, each weighted by its size's share of the kernel."""
    one = subject(FORWARD, 7)
    signs = coalitions._every_pair(7)[:-1]  # the last is the whole text beside nothing
    differences, sizes = coalitions._differences(one, signs), coalitions._sizes(signs)
    weights = np.array([1 / (math.comb(7, k) * k * (7 - k)) for k in sizes])
    values, _ = ridge(Readings(signs, differences, weights), Prior(np.zeros(7), np.ones(7)), one.logit - one.bias)
    assert np.abs(values - shapley_of(one)).max() < 1e-6


def test_a_text_of_more_tokens_than_pairs_leans_on_the_gradient() -> None:
    """Of a nearly linear network the gradient times the input is the answer, and no reading could tell 200 apart."""
    one = subject(Kind("rnn", ("forward",), 1, "mean_max"), 200, std=0.1)
    found, gradient = attribute(one, "shapley").contributions, gradient_x_input(one, Options()).contributions
    signs = coalitions._halves(pairs_of(200), 200, np.random.default_rng(one.seed))
    alone, _ = ridge(
        Readings(signs, coalitions._differences(one, signs), np.ones(len(signs))),
        Prior(np.zeros(200), np.ones(200)),
        one.logit - one.bias,
    )
    assert np.corrcoef(found, gradient)[0, 1] > np.corrcoef(alone, gradient)[0, 1]
    assert np.corrcoef(found, gradient)[0, 1] > 0.8


def test_a_token_that_changes_nothing_gets_nothing_and_the_only_token_gets_all() -> None:
    network, (x, _) = make(FORWARD, seed=7), inputs(1, seed=7)
    only = subject_of(network, x[0], 1)
    assert attribute(only, "shapley").contributions == pytest.approx([only.logit - only.bias], abs=1e-12)
    tagger = subject(Kind("lstm", ("forward",), 1, "tagger"), 7, timestep=3)
    assert np.abs(attribute(tagger, "shapley").contributions[4:]).max() < 1e-12  # read later than the tag


def test_the_price_of_a_long_text_is_at_most_64_predictions_and_a_short_ones_no_more_than_a_texts_of_512() -> None:
    price = METHODS["shapley"].price
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
    attribute(one, "shapley")
    price = METHODS["shapley"].price(TextCost(length, True, Options()))
    backward = 2 * length if length > pairs_of(length) else 0
    assert price - backward <= read <= price + length  # the text's own pass
