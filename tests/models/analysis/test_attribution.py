"""What an answer says of itself."""

import numpy as np
import pytest

from models.analysis.attribution import INFLATED, Attribution, Output


def one(contributions: list[float], bias: float | None, logit: float) -> Attribution:
    return Attribution("secant", Output(0), np.array(contributions), bias, logit)


def test_inflation_is_what_is_handed_out_over_what_there_is_to_explain() -> None:
    assert one([1.0, 2.0], 0.5, 3.5).inflation == pytest.approx(1.0)
    assert one([5.0, -4.0], None, 1.0).inflation == pytest.approx(9.0)
    assert one([0.01, -0.01], 0.0, 0.0).inflation == pytest.approx(0.2)  # never over less than 0.1


def test_a_warning_names_the_inflation_where_it_is_over_its_bound() -> None:
    calm, loud = one([INFLATED / 2, 0.0], 0.0, 0.5), one([16.0, -15.0], 0.0, 1.0)
    assert calm.inflation == INFLATED
    assert calm.warning is None
    assert loud.warning is not None
    assert "31 times" in loud.warning
    assert "secant" in loud.warning
