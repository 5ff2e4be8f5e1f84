"""Shapley values from whole orders, against all subsets."""

import numpy as np
import pytest

from models.analysis.attribution import Options
from models.analysis.methods import attribute
from models.analysis.orders import FEWEST, MOST
from models.errors import OptionError
from tests.models.analysis.exact import shapley_of, subject
from tests.models.analysis.networks import KINDS, Kind


@pytest.mark.parametrize("kind", [k for k in KINDS if k.layers == 1], ids=str)
def test_shapley_by_orders_is_within_its_standard_error_of_the_exact_value(kind: Kind) -> None:
    one, options = subject(kind, 6), Options(permutations=128)
    found = attribute(one, "shapley", options)
    assert found.standard_error is not None
    assert (np.abs(found.contributions - shapley_of(one)) <= 3 * found.standard_error + 1e-9).all()
    assert found.completeness_error < 1e-12
    assert np.array_equal(attribute(one, "shapley", options).contributions, found.contributions)


def test_shapley_stops_at_the_error_that_is_wanted_and_gives_the_permutations_asked() -> None:
    one = subject(Kind("lstm", ("forward",), 1, "last_state"), 6)
    few = attribute(one, "shapley", Options(permutations=FEWEST))
    assert few.permutations == FEWEST
    assert few.standard_error is not None
    wanted = float(few.standard_error.max()) / 3
    found = attribute(one, "shapley", Options(wanted_error=wanted))
    assert found.standard_error is not None
    assert found.standard_error.max() <= wanted
    assert found.permutations is not None
    assert FEWEST < found.permutations < MOST


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(permutations=7), "even number"),
        (Options(permutations=MOST + 2), "even number"),
        (Options(permutations=8, wanted_error=0.1), "name one"),
        (Options(wanted_error=-1.0), "above 0"),
    ],
)
def test_options_of_shapley_out_of_bounds_are_refused(options: Options, words: str) -> None:
    one = subject(Kind("lstm", ("forward",), 1, "last_state"), 3)
    with pytest.raises(OptionError, match=words):
        attribute(one, "shapley", options)
