"""Maps over time: the gates of every unit, and what the belt still carries of each token."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .canvas import SIGNED_SCALE, UNIT_SCALE, caption, label_tokens, new, title
from .words import SENTENCES, Language, say

Values = NDArray[np.floating]
_SIGNED = ("cell_gate", "hidden_state", "cell_state")


def gates(
    tensors: dict[str, Values],
    tokens: list[str],
    units: list[int],
    heading: str,
    language: Language,
    first: int = 0,
    notes: Sequence[str] = (),
) -> Figure:
    """One map a tensor, each [timestep, unit]: gates on [0, 1], states and candidate on [-1, 1].

    A cell state beyond [-1, 1] takes the colour of the end, and the bar's end is an arrow.
    """
    tall = 1.1 + min(len(units), 64) * 0.02
    width = max(6.0, 2.2 + 0.22 * min(len(tokens), 60))
    figure = new(width, 1.1 + len(tensors) * (tall + 0.35))
    rows = np.atleast_1d(figure.subplots(len(tensors), 1, sharex=True))
    for axes, (name, values) in zip(rows, tensors.items(), strict=True):
        signed = name in _SIGNED
        scale = {"cmap": SIGNED_SCALE if signed else UNIT_SCALE, "vmin": -1 if signed else 0, "vmax": 1}
        image = axes.imshow(values.T, aspect="auto", interpolation="nearest", **scale)
        axes.set_title(say(name, language), fontsize=10, loc="left")
        axes.set_ylabel(say("unit", language))
        _label_units(axes, units)
        extend = "both" if name == "cell_state" and np.abs(values).max() > 1 else "neither"
        bar = figure.colorbar(image, ax=axes, fraction=0.025, pad=0.01, extend=extend)
        bar.set_label(say("value" if signed else "gate, 0 shut, 1 open", language), fontsize=8)
        label_tokens(axes, tokens, first)
    rows[0].set_title(f"{title(heading, width)}\n{rows[0].get_title(loc='left')}", fontsize=10, loc="left")
    caption(figure, SENTENCES["gates"][language], language, notes)
    return figure


def memory(
    retention: Values, rows: list[str], heading: str, language: Language, first: int = 0, notes: Sequence[str] = ()
) -> Figure:
    """retention[t, s] of the tokens shown: how much of what token s left is there when t is read; NaN stays white."""
    size = max(4.4, 1.8 + 0.2 * min(len(rows), 48))
    figure = new(size + 1, size + 0.6)
    axes = figure.subplots()
    image = axes.imshow(np.ma.masked_invalid(retention), cmap=UNIT_SCALE, vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title(heading, size), fontsize=10, loc="left")
    label_tokens(axes, rows, first)
    axes.set_yticks(axes.get_xticks(), [text.get_text() for text in axes.get_xticklabels()], fontsize=9)
    axes.set_xlabel(say("kept from token s", language))
    axes.set_ylabel(say("read at token t", language))
    bar = figure.colorbar(image, ax=axes, fraction=0.045, pad=0.02)
    bar.set_label(say("retention, mean over units", language), fontsize=9)
    caption(figure, SENTENCES["memory"][language], language, notes)
    return figure


def _label_units(axes: object, units: list[int]) -> None:
    every = -(-len(units) // 8)
    places = list(range(0, len(units), every))
    axes.set_yticks(places, [str(units[i]) for i in places], fontsize=8)  # type: ignore[attr-defined]
