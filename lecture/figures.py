"""The page's own pictures; those of one text come from `service.pictures`, as `render` draws them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.analysis.fading import half_life
from service.pictures.canvas import BLUE, GREY, VERMILION, new
from service.pictures.words import Language

from .measurements import Shares
from .parallel import Steps
from .words import say

COLOURS = {"rnn": VERMILION, "lstm": BLUE}
MARKERS = {"rnn": "o", "lstm": "s"}


def influence(pairs: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], language: Language) -> Figure:
    """One panel for each pair, all on one absolute logarithmic axis; pairs[name][cell] as stored by `evaluate`."""
    figure = new(3.0 * len(pairs), 3.4)
    panels = np.atleast_1d(figure.subplots(1, len(pairs), sharey=True))
    for axes, (name, cells) in zip(panels, pairs.items(), strict=True):
        for cell, rows in cells.items():
            points = [(r["distance"], r["median"]) for r in rows if r["median"]]
            _line(axes, cell, [d for d, _ in points], [m for _, m in points])
        axes.set(yscale="log", xlabel=say("distance to the last token", language), title=name)
    panels[0].set_ylabel(say("median gradient norm", language))
    panels[0].legend(frameon=False)
    return figure


def by_length(pairs: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], language: Language) -> Figure:
    """Accuracy, or entity F1, by length of text."""
    figure = new(3.0 * len(pairs), 3.2)
    panels = np.atleast_1d(figure.subplots(1, len(pairs), sharey=True))
    for axes, (name, cells) in zip(panels, pairs.items(), strict=True):
        for cell, rows in cells.items():
            _line(axes, cell, range(len(rows)), [r["figure"] for r in rows])
            axes.set_xticks(range(len(rows)), [span(r) for r in rows], rotation=45, fontsize=8)
        axes.set(xlabel=say("tokens", language), title=name)
    panels[0].set_ylabel(say("accuracy, or entity F1", language))
    panels[0].legend(frameon=False)
    return figure


def recall(gaps: Sequence[int], shares: Shares, chance: float, language: Language) -> Figure:
    """shares[cell][seed][gap]: the mean as a line, each seed as a dot."""
    figure = new(5.2, 3.2)
    axes = figure.subplots()
    for cell, seeds in shares.items():
        _line(axes, cell, gaps, np.mean(seeds, axis=0))
        for seed in seeds:
            axes.scatter(gaps, seed, s=9, color=COLOURS[cell], alpha=0.5, linewidths=0)
    axes.axhline(chance, color=GREY, linestyle=":", linewidth=1)
    axes.text(gaps[-1], chance - 0.02, say("chance", language), ha="right", va="top", fontsize=8, color=GREY)
    axes.set(xscale="log", xlabel=say("gap in tokens", language), ylabel=say("accuracy", language), ylim=(0, 1.05))
    axes.set_xticks(gaps, [str(g) for g in gaps])
    axes.minorticks_off()
    axes.legend(frameon=False)
    return figure


def training(steps: Steps, language: Language) -> Figure:
    figure = new(5.2, 3.2)
    axes = figure.subplots()
    axes.plot(steps.timesteps, steps.recurrent_ms, color=BLUE, marker="s", label="LSTM")
    axes.plot(
        steps.timesteps,
        steps.feed_forward_ms,
        color=GREY,
        marker="^",
        label=say("feed-forward, as many products", language),
    )
    axes.set(xscale="log", yscale="log", xlabel=say("timesteps T", language), ylabel=say("training step, ms", language))
    axes.set_xticks(steps.timesteps, [str(t) for t in steps.timesteps])
    axes.minorticks_off()
    axes.legend(frameon=False)
    return figure


def span(row: Mapping[str, Any]) -> str:
    """A bin of lengths as text: ``21–50``, ``101+``."""
    return f"{row['from']}–{row['to']}" if row["to"] else f"{row['from']}+"


def stored_half_life(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """The half-life of the medians, in tokens; without distance 0, which has no step of the recurrence."""
    measured = [r for r in rows if r["median"] and r["distance"]]
    return half_life(np.array([r["distance"] for r in measured]), np.array([r["median"] for r in measured], np.float64))


def _line(axes: Axes, cell: str, x: Any, y: Any) -> None:
    axes.plot(x, y, color=COLOURS[cell], marker=MARKERS[cell], markersize=4, linewidth=1.2, label=cell.upper())
