"""Bars, curves and clouds: which tokens made the label, how influence fades, how often each gate is shut or open."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .canvas import BLUE, GATE_COLOURS, GREY, VERMILION, caption, label_tokens, new, title
from .words import SENTENCES, Language, say

Values = NDArray[np.floating]


@dataclass(frozen=True)
class Fade:
    """gradient_norm against distance, with the half-life of its fitted line, or None."""

    name: str
    distance: Sequence[int]
    value: Sequence[float]
    half_life_tokens: float | None


@dataclass(frozen=True)
class Bars:
    """What an attribution's picture shows: contributions [shown] of `tokens`, from timestep `first` on.

    before, after: what stands for the tokens to either side that are not shown, None where there are none.
    """

    contributions: Values
    tokens: list[str]
    first: int
    bias: float | None
    before: str | None = None
    after: str | None = None


def attribution(bars: Bars, heading: str, language: Language, notes: Sequence[str] = ()) -> Figure:
    """One bar a token; blue speaks for the target, vermilion against it. Boxes at the ends sum up what is not shown."""
    width = max(6.0, 1.6 + 0.24 * min(len(bars.tokens), 60))
    figure = new(width, 3.8)
    axes = figure.subplots()
    colours = [BLUE if v >= 0 else VERMILION for v in bars.contributions]
    axes.bar(range(len(bars.tokens)), bars.contributions, color=colours, width=0.85)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_title(title(heading, width), fontsize=10, loc="left")
    axes.set_ylabel(say("contribution to the logit", language))
    axes.margins(x=0.01, y=0.05)
    label_tokens(axes, bars.tokens, bars.first, at_most=60)
    boxes = [(bars.before, "left"), (bars.after, "right")]
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + (high - low) * (0.25 if any(text for text, _ in boxes) else 0))
    for text, side in boxes:
        if text:
            box = {"facecolor": "white", "edgecolor": GREY, "boxstyle": "round,pad=0.3"}
            at = 0.01 if side == "left" else 0.99
            axes.text(at, 0.96, text, transform=axes.transAxes, ha=side, va="top", fontsize=8.5, bbox=box)
    caption(figure, SENTENCES["attribution"][language], language, notes)
    return figure


def fading(fades: Sequence[Fade], heading: str, language: Language) -> Figure:
    """Influence against distance on one absolute logarithmic axis, never scaled curve by curve."""
    figure = new(6.0, 3.6)
    axes = figure.subplots()
    styles = ((VERMILION, "o"), (BLUE, "s"), (GREY, "^"))
    for n, fade in enumerate(fades):
        colour, marker = styles[n % len(styles)]
        distance, value = np.array(fade.distance), np.array(fade.value, float)
        seen = value > 0
        half = (
            ""
            if fade.half_life_tokens is None
            else f", {say('half-life', language)} {fade.half_life_tokens:.1f} {say('tokens', language)}"
        )
        axes.plot(
            distance[seen],
            value[seen],
            color=colour,
            marker=marker,
            markersize=3,
            linewidth=1,
            label=f"{fade.name}{half}",
        )
        if fade.half_life_tokens is not None and seen.sum() > 1:
            slope = -np.log(2) / fade.half_life_tokens
            middle = np.log(value[seen]).mean() - slope * distance[seen].mean()
            axes.plot(
                distance[seen],
                np.exp(middle + slope * distance[seen]),
                color=colour,
                linestyle="--",
                linewidth=1,
                alpha=0.7,
            )
    axes.set_yscale("log")
    axes.set(xlabel=say("distance to the last token", language), ylabel=say("gradient norm", language))
    axes.set_title(title(heading, 6.0), fontsize=10, loc="left")
    axes.legend(frameon=False, fontsize=9)
    caption(figure, SENTENCES["fading"][language], language)
    return figure


def saturation(low: dict[str, Values], high: dict[str, Values], heading: str, language: Language) -> Figure:
    """One dot a unit: how often it is shut against how often it is open (Karpathy et al. 2015); [unit] each."""
    width = 2.7 * len(low) + 0.6
    figure = new(width, 4.0)
    panels = np.atleast_1d(figure.subplots(1, len(low), sharey=True))
    for axes, name in zip(panels, low, strict=True):
        axes.scatter(low[name], high[name], s=14, alpha=0.6, color=GATE_COLOURS.get(name, GREY), linewidths=0)
        axes.plot([0, 1], [1, 0], color=GREY, linewidth=0.8, linestyle=":")
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        axes.set_title(say(name, language), fontsize=10)
    panels[len(panels) // 2].set_xlabel(say("share of timesteps below 0.1", language), fontsize=9)
    panels[0].set_ylabel(say("share of timesteps above 0.9", language), fontsize=9)
    figure.suptitle(title(heading, width), fontsize=10, x=0.01, ha="left")
    caption(figure, SENTENCES["saturation"][language], language)
    return figure
