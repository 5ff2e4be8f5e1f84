"""The words of a figure as they stand in its picture: which they are, and that they can be read."""

import itertools
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Tick
from matplotlib.figure import Figure
from matplotlib.text import Text


def words(figure: Figure) -> list[Text]:
    """What is drawn: of tick labels those within their axis alone, for matplotlib keeps others in stock."""
    in_stock = {label for tick in figure.findobj(Tick) for label in (tick.label1, tick.label2)}  # type: ignore[attr-defined]
    drawn_ticks: set[Text] = set()
    hidden: set[Text] = set()
    for axes in figure.findobj(Axes):
        assert isinstance(axes, Axes)
        if not axes.axison:
            hidden |= {axes.xaxis.label, axes.yaxis.label}
            continue
        for axis in (axes.xaxis, axes.yaxis):
            drawn_ticks |= {tick.label1 for tick in axis._update_ticks()}
    return [
        t
        for t in figure.findobj(Text)
        if isinstance(t, Text)
        and t.get_visible()
        and t.get_text().strip()
        and t not in hidden
        and (t not in in_stock or t in drawn_ticks)
    ]


def boxes(figure: Figure) -> list[tuple[str, np.ndarray[Any, Any]]]:
    with matplotlib.rc_context({"text.hinting": "none"}):  # as the bytes are written
        figure.draw_without_rendering()
        return [(t.get_text(), t.get_window_extent().get_points()) for t in words(figure)]


def assert_legible(figure: Figure) -> None:
    """No words overlap, and none leave the picture."""
    width, height = figure.bbox.width, figure.bbox.height
    found = boxes(figure)
    for label, box in found:
        assert box[0, 0] >= -1, f"{label!r} begins left of the picture"
        assert box[0, 1] >= -1, f"{label!r} ends below the picture"
        assert box[1, 0] <= width + 1, f"{label!r} ends right of the picture"
        assert box[1, 1] <= height + 1, f"{label!r} begins above the picture"
    for (first, a), (second, b) in itertools.combinations(found, 2):
        overlap = np.minimum(a[1], b[1]) - np.maximum(a[0], b[0])
        assert not (overlap > 1.5).all(), f"{first!r} and {second!r} overlap by {overlap}"
