"""A curve that is known gives its half-life; gradient norms are autograd's."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.analysis.fading import fading, gradient_norms
from tests.models.analysis.networks import KINDS, Kind, inputs, logit, make, recorded


@given(half_life=st.floats(0.5, 1e4), length=st.integers(3, 60), scale=st.floats(1e-6, 1e6))
def test_an_exponential_fades_with_its_own_half_life(half_life: float, length: int, scale: float) -> None:
    value = scale * 2.0 ** (-np.arange(length)[::-1] / half_life)
    found = fading(value)
    assert found.distance.tolist() == list(range(length))
    assert found.value[0] == value[-1]
    assert found.half_life_tokens is not None
    assert math.isclose(found.half_life_tokens, half_life, rel_tol=1e-6)


def test_zeros_are_left_out_of_the_line() -> None:
    value = np.array([1.0, 2.0, 0.0, 8.0, 16.0])  # at distance 2 nothing
    found = fading(value)
    assert found.half_life_tokens is not None
    assert math.isclose(found.half_life_tokens, 1.0)
    assert found.value.tolist() == [16.0, 8.0, 0.0, 2.0, 1.0]


@pytest.mark.parametrize("value", [[1.0], [1.0, 2.0], [0.0, 1.0, 2.0], [0.0] * 5, [4.0, 2.0, 1.0], [1.0, 1.0, 1.0]])
def test_there_is_no_half_life_where_nothing_falls_or_too_little_is_left(value: list[float]) -> None:
    assert fading(np.array(value)).half_life_tokens is None


@pytest.mark.parametrize("kind", [k for k in KINDS if k.layers == 2], ids=str)
def test_gradient_norms_are_autograds(kind: Kind) -> None:
    network, (x, lengths) = make(kind), inputs(5, 8, 1)
    at = [2, 7, 0] if kind.read == "tagger" else None
    found = gradient_norms(network, *recorded(network, x, lengths), [0, 3, 2], at)
    for b, length in enumerate((5, 8, 1)):
        alone = x[b, :length].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(logit(network, alone, [0, 3, 2][b], at and at[b]), alone)
        assert np.abs(found[b] - gradient.norm(dim=1).numpy()).max() < 1e-12


def test_a_gradient_too_small_to_be_squared_in_float32_is_still_seen() -> None:
    network = make(Kind("rnn", ("forward",), 1, "last_state"), dtype=torch.float32)
    network.encoder.recurrence(0, "forward").weights.weight_hh.mul_(1e-2)
    x, lengths = inputs(20, dtype=torch.float32)
    (norms,) = gradient_norms(network, *recorded(network, x, lengths), [0])
    assert 0 < norms[norms > 0].min() < 1e-20


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([1.0], "needs 3 tokens with a gradient above zero, and this text has 1"),
        ([0.0, 0.0, 0.0, 2.0, 1.0], "this text has 2"),
        ([0.0] * 5, "this text has 0"),
        ([3.0, 2.0, 1.0], "does not fall with distance"),
        ([1.0, 1.0, 1.0], "does not fall with distance"),
    ],
)
def test_no_half_life_says_why(values: list[float], says: str) -> None:
    found = fading(np.array(values))
    assert found.half_life_tokens is None
    assert says in (found.half_life_note or "")


def test_a_half_life_needs_no_note() -> None:
    found = fading(2.0 ** np.arange(8))
    assert found.half_life_tokens == pytest.approx(1)
    assert found.half_life_note is None
