"""Reductions against sums written out, at the bounds as well."""

import numpy as np
import pytest

from models.analysis.reductions import half_life, phases, reduce

ALL = ("saturation", "mean", "norm", "half_life")


def values(seed: int = 0, low: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, 1, (2, 2, 9, 3)).astype(np.float32)


def test_reductions_are_the_sums_written_out() -> None:
    v = {
        "forget_gate": values(0),
        "hidden_state": values(1, -1),
        "cell_state": values(2, -3),
        "cell_gate": values(3, -1),
    }
    found = reduce(v, ALL, v)
    for name, x in v.items():
        for layer, direction in np.ndindex(2, 2):
            for unit in range(3):
                row = [float(value) for value in x[layer, direction, :, unit]]
                assert abs(found[name]["mean"][layer, direction, unit] - sum(row) / 9) < 1e-12
                if name == "cell_state":
                    continue
                low = sum(value < (0.1 if name == "forget_gate" else -0.9) for value in row) / 9
                assert found[name]["fraction_low"][layer, direction, unit] == low
                assert found[name]["fraction_high"][layer, direction, unit] == sum(value > 0.9 for value in row) / 9
            for t in range(9):
                norm = sum(float(value) ** 2 for value in x[layer, direction, t]) ** 0.5
                assert abs(found[name]["norm"][layer, direction, t] - norm) < 1e-12
    assert "fraction_low" not in found["cell_state"]
    assert [name for name in v if "half_life_tokens" in found[name]] == ["forget_gate"]


def test_a_constant_gate_has_forgotten_half_after_its_half_life() -> None:
    for f in (0.5, 0.9, 0.99):
        tokens = half_life(np.full((1, 1, 4, 1), f))[0, 0, 0]
        assert abs(f**tokens - 0.5) < 1e-12


def test_a_gate_that_never_closes_never_forgets_and_a_shut_one_forgets_at_once() -> None:
    assert half_life(np.ones((1, 1, 4, 2))).tolist() == [[[np.inf, np.inf]]]
    assert half_life(np.zeros((1, 1, 4, 1))).tolist() == [[[0.0]]]


@pytest.mark.parametrize(
    ("forget", "write", "phase"),
    [(0.5, 0.4, "hold"), (0.5, 0.5, "accumulate"), (0.4, 0.5, "overwrite"), (0.4, 0.4, "erase")],
)
def test_each_phase_is_a_side_of_one_half(forget: float, write: float, phase: str) -> None:
    found = phases(np.full((1, 1, 3, 2), forget, np.float32), np.full((1, 1, 3, 2), write, np.float32))
    assert {name: share.tolist() for name, share in found.items() if share.any()} == {phase: [[[1.0, 1.0]]]}


def test_phases_share_out_all_timesteps() -> None:
    found = phases(values(4), values(5))
    np.testing.assert_allclose(sum(found.values()), np.ones((2, 2, 3)), atol=1e-15)
