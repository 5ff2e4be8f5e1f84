"""How the page writes numbers and sentences."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from lecture.markdown import number as three_digits

Fields = dict[str, object]
Put = Callable[[str, Figure, str], str]  # name, figure, alternative text -> the link to the picture


def spread(values: Mapping[str, float], decimals: int = 2) -> str:
    """``0.43 [0.41, 0.46]``."""
    return f"{values['median']:.{decimals}f} [{values['low']:.{decimals}f}, {values['high']:.{decimals}f}]"


def number(value: float) -> str:
    """Three significant digits; from 100 on a whole number."""
    return f"{value:,.0f}" if abs(value) >= 100 else three_digits(value)


def machine(part: Mapping[str, Any]) -> str:
    """A sentence with the date, machine and versions of a suite's run."""
    ran_on = part["machine"]
    used = ", ".join(f"{name} {version}" for name, version in part["versions"].items())
    return f"Measured on {ran_on['date']}: {ran_on['cpu']}, {ran_on['cores']} cores, {ran_on['system']}; {used}."
