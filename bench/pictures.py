"""The page's pictures: ratios of the kernels, requests a second of the servers, and how cost grows."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from service.pictures.canvas import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION, new

from .contenders import BF16, FUSED, LOOP, RECORDED, REPLAY
from .graphs import FLOAT, INT8

COLOURS = {
    FUSED: BLUE,
    RECORDED: "#56B4E9",
    BF16: PURPLE,
    FLOAT: ORANGE,
    INT8: "#F0E442",
    REPLAY: GREY,
    LOOP: VERMILION,
}
SERIES = (BLUE, ORANGE, GREEN, VERMILION)
MARKERS = "os^D"
Spread = Mapping[str, float]


def kernels(cases: Sequence[tuple[str, Mapping[str, Spread]]]) -> Figure:
    """A group of bars for each case (name, contender -> its time over the library's); 1 is the library."""
    figure = new(8.0, 0.6 + 1.25 * len(cases))
    axes = figure.subplots()
    height = 0.8 / len(COLOURS)
    for place, (_, ratios) in enumerate(cases):
        for row, name in enumerate(COLOURS):
            if name in ratios:
                y = place - 0.4 + (row + 0.5) * height
                bar(axes, y, ratios[name], height * 0.92, COLOURS[name], name if place == first(cases, name) else None)
    axes.axvline(1, color="black", linewidth=1)
    ticks = (0.1, 0.2, 0.5, 1, 2, 5)
    axes.set(xscale="log", xlabel="time / nn.LSTM's, or nn.RNN's (left of the line: faster)")
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(cases)), [name for name, _ in cases])
    axes.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    return figure


def first(cases: Sequence[tuple[str, Mapping[str, Spread]]], name: str) -> int:
    """The first case with this contender; its bar there gets the legend's entry."""
    return next(place for place, (_, ratios) in enumerate(cases) if name in ratios)


def bar(axes: Axes, y: float, spread: Spread, height: float, colour: str, label: str | None = None) -> None:
    """A bar to the median, with the range as a line on it."""
    axes.barh(y, spread["median"], height, color=colour, label=label)
    axes.plot([spread["low"], spread["high"]], [y, y], color="black", linewidth=0.8)


def servers(speeds: Sequence[tuple[str, Spread]], label: str) -> Figure:
    """Bars of (server, requests a second)."""
    figure = new(7.0, 0.7 + 0.34 * len(speeds))
    axes = figure.subplots()
    for place, (name, spread) in enumerate(speeds):
        bar(axes, place, spread, 0.7, BLUE if name.startswith("ours") else GREY)
        axes.text(spread["high"], place, f"  {spread['median']:.0f}", va="center", fontsize=8)
    axes.set(xlabel=label)
    axes.set_xlim(0, 1.15 * max(spread["high"] for _, spread in speeds))
    axes.set_yticks(range(len(speeds)), [name for name, _ in speeds])
    axes.invert_yaxis()
    return figure


def growth(curves: Sequence[Mapping[str, Any]]) -> Figure:
    """One panel for each curve, both axes logarithmic."""
    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure = new(3.3 * columns, 3.0 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, curve in zip(panels, curves, strict=False):
        for place, (name, series) in enumerate(curve["series"].items()):
            line(axes, series["points"], SERIES[place], MARKERS[place], name)
        axes.set(xscale="log", yscale="log")
        axes.set_xlabel(curve["x"], fontsize=8)
        axes.set_ylabel(curve["y"], fontsize=8)
        places = [p["x"] for p in next(iter(curve["series"].values()))["points"]]
        axes.set_xticks(places, [short(x) for x in places], minor=False)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(which="both", labelsize=7)
        axes.legend(frameon=False, fontsize=7)
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    return figure


def short(x: float) -> str:
    """``4096`` -> ``4k``"""
    return f"{x:g}" if x < 2000 else f"{x / 1000:.0f}k"


def line(axes: Axes, points: Sequence[Mapping[str, float]], colour: str, marker: str, label: str) -> None:
    x = [p["x"] for p in points]
    axes.plot(x, [p["median"] for p in points], color=colour, marker=marker, markersize=4, linewidth=1.2, label=label)
    axes.fill_between(x, [p["low"] for p in points], [p["high"] for p in points], color=colour, alpha=0.2, linewidth=0)
