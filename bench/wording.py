"""How the page writes what was measured."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from lecture.markdown import number as three_digits

Fields = dict[str, object]
Put = Callable[[str, Figure, str], str]  # name, figure, what it shows -> the link to it


def spread(of: Mapping[str, float], decimals: int = 2) -> str:
    """``0.43 [0.41, 0.46]``."""
    return f"{of['median']:.{decimals}f} [{of['low']:.{decimals}f}, {of['high']:.{decimals}f}]"


def number(value: float) -> str:
    """Three significant digits, whole from 100 on."""
    return f"{value:,.0f}" if abs(value) >= 100 else three_digits(value)


def machine(part: Mapping[str, Any]) -> str:
    """Where and with what a suite ran, as one sentence."""
    its = part["machine"]
    used = ", ".join(f"{name} {version}" for name, version in part["versions"].items())
    return f"Measured on {its['date']}: {its['cpu']}, {its['cores']} cores, {its['system']}; {used}."
