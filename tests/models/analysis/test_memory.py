"""Retention and mass are the products of the gates, whatever part of them is asked for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.analysis.memory import memory
from models.errors import ActivationsUnavailable
from models.recurrence.layer import Direction
from tests.models.analysis.networks import BOTH, UNITS, Kind, inputs, make, recorded


def activations(length: int, direction: Direction, cell: str = "lstm", seed: int = 0) -> dict[str, torch.Tensor]:
    network, (x, lengths) = make(Kind(cell, BOTH, 2, "last_state"), seed), inputs(length, seed=seed)  # type: ignore[arg-type]
    _, found = recorded(network, x, lengths)
    return {name: v[0] for name, v in found[1][BOTH.index(direction)].items()}


def brute_force(v: dict[str, torch.Tensor], direction: Direction, units: list[int]) -> tuple[np.ndarray, np.ndarray]:
    f, i, g = (v[name].numpy()[:, units] for name in ("forget_gate", "input_gate", "cell_gate"))
    length = len(f)
    retention, mass = np.full((2, length, length), np.nan)
    for t in range(length):
        for s in range(t + 1) if direction == "forward" else range(t, length):
            between = range(s + 1, t + 1) if direction == "forward" else range(t, s)
            left = np.ones(len(units))
            for k in between:
                left = left * f[k]
            retention[t, s], mass[t, s] = left.mean(), np.abs(left * i[s] * g[s]).sum()
    return retention, mass


@pytest.mark.parametrize("direction", BOTH)
def test_retention_equals_the_product_of_the_forget_gates(direction: Direction) -> None:
    v = activations(9, direction)
    found = memory(v, direction, range(9))
    retention, mass = brute_force(v, direction, list(range(UNITS)))
    np.testing.assert_allclose(found["retention"], retention, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found["mass"], mass, rtol=0, atol=1e-13)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), direction=st.sampled_from(BOTH), length=st.integers(1, 10))
def test_a_selection_is_cut_from_the_whole(data: st.DataObject, direction: Direction, length: int) -> None:
    timesteps = sorted(data.draw(st.sets(st.integers(0, length - 1), min_size=1)))
    units = data.draw(st.lists(st.integers(0, UNITS - 1), min_size=1, unique=True))
    v = activations(length, direction)
    found = memory(v, direction, timesteps, units)
    for name, want in zip(("retention", "mass"), brute_force(v, direction, units), strict=True):
        np.testing.assert_allclose(found[name], want[np.ix_(timesteps, timesteps)], rtol=0, atol=1e-13)  # type: ignore[index]


@pytest.mark.parametrize("direction", BOTH)
def test_the_belts_deposits_add_up_to_the_cell_state(direction: Direction) -> None:
    """c_t = sum_s A[t,s] i_s g_s: with one unit the mass is |A i g|, so signed by the deposit it must give c."""
    v = activations(8, direction)
    for unit in range(UNITS):
        deposit = (v["input_gate"] * v["cell_gate"]).numpy()[:, unit]
        signed = np.nan_to_num(memory(v, direction, range(8), [unit], ["mass"])["mass"]) * np.sign(deposit)
        assert np.abs(signed.sum(1) - v["cell_state"].numpy()[:, unit]).max() < 1e-13


def test_long_texts_neither_overflow_nor_lose_what_is_near() -> None:
    z = torch.full((4096, 2), -12.0)  # a nearly shut gate: the sum of logs reaches -49,000
    v = {
        "forget_gate_preactivation": z,
        "forget_gate": torch.sigmoid(z),
        "input_gate": z * 0 + 1,
        "cell_gate": z * 0 + 1,
    }
    found = memory(v, "forward", range(4000, 4096), measures=["retention"])["retention"]
    near = 1 / (1 + np.exp(12.0))
    np.testing.assert_allclose(np.diag(found, -1), near, rtol=1e-9)
    assert (np.diag(found) == 1).all()
    assert np.nanmin(found) == 0


def test_an_rnn_has_no_belt() -> None:
    with pytest.raises(ActivationsUnavailable, match="it has hidden_state"):
        memory(activations(3, "forward", "rnn"), "forward", range(3))
