"""Integrated gradients against autograd's Riemann sum, and what they say of themselves."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.analysis.attribution import Options
from models.analysis.integrated_gradients import TOLERANCE, integrated_gradients, most_nodes
from models.analysis.methods import METHODS, TextCost
from models.network.network import Classifier, Tagger
from tests.models.analysis.networks import KINDS, Kind, inputs, make, subject_of


def riemann(
    network: Classifier | Tagger, x: torch.Tensor, index: int, timestep: int | None, steps: int = 4096
) -> NDArray[np.float64]:
    """The midpoint sum of autograd's gradients, in slices of the way: x [time, input] -> [time]."""
    total = np.zeros(len(x))
    for alphas in ((torch.arange(steps, dtype=x.dtype) + 0.5) / steps).split(512):
        scaled = (alphas[:, None, None] * x).requires_grad_()
        run = network.encoder(scaled, torch.full((len(alphas),), len(x)))
        outputs = network.outputs(run)
        chosen = outputs[:, index] if timestep is None else outputs[:, timestep, index]
        (gradient,) = torch.autograd.grad(chosen.sum(), scaled)
        total += (gradient * x).sum((0, 2)).numpy() / steps
    return total


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_they_equal_autograds_riemann_sum(kind: Kind) -> None:
    network, (x, _) = make(kind, seed=2, std=0.3), inputs(7, seed=2)
    timestep = 3 if kind.read == "tagger" else None
    subject = subject_of(network, x[0], 2, timestep)
    found = integrated_gradients(subject, Options(), most=4096, tolerance=1e-6)  # a pool's maxima are kinks
    expected = riemann(network, x[0], 2, timestep)
    scale = max(1, abs(found.logit))
    assert found.completeness_error < TOLERANCE * scale
    assert np.abs(found.contributions - expected).max() < 1e-3 * scale
    assert integrated_gradients(subject, Options()).completeness_error < TOLERANCE * scale
    zero = subject_of(network, torch.zeros_like(x[0]), 2, timestep)
    assert found.bias == pytest.approx(zero.logit, abs=1e-12)


def test_nodes_are_added_until_the_sum_is_right_or_the_bound_is_reached() -> None:
    network, (x, _) = make(Kind("rnn", ("forward",), 1, "last_state"), seed=3, std=1.5), inputs(12, seed=3)
    subject = subject_of(network, x[0], 1)
    few = integrated_gradients(subject, Options(), most=8)
    many = integrated_gradients(subject, Options(), most=4096)
    assert few.nodes == 8
    assert few.completeness_error > TOLERANCE * max(1, abs(few.logit))
    assert many.nodes is not None
    assert 8 < many.nodes <= 4096
    assert many.completeness_error < TOLERANCE * max(1, abs(many.logit))


def test_long_texts_get_few_nodes_and_short_ones_many() -> None:
    assert [most_nodes(n) for n in (1, 20, 100, 512, 4096)] == [1024, 512, 102, 20, 16]


def test_no_text_costs_more_than_64_predictions_of_512_tokens_or_of_its_own_length_where_it_is_longer() -> None:
    price = METHODS["integrated_gradients"].price
    lengths = (1, 11, 20, 21, 100, 511, 512, 513, 640, 641, 4096)
    assert all(price(TextCost(n, False, Options())) <= 64 * max(n, 512) for n in lengths)
