"""Bars, curves and clouds: which tokens made the label, how influence fades, how often each gate is shut or open."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .canvas import BLUE, GATE_COLOURS, GREY, VERMILION, Language, label_tokens, new, say

Values = NDArray[np.floating]


@dataclass(frozen=True)
class Fade:
    """gradient_norm against distance, with the half-life of its fitted line, or None."""

    name: str
    distance: Sequence[int]
    value: Sequence[float]
    half_life_tokens: float | None


def attribution(
    contributions: Values, tokens: list[str], bias: float | None, title: str, language: Language, first: int = 0
) -> Figure:
    """One bar a token; blue speaks for the target, vermilion against it."""
    figure = new(max(4.5, 1.6 + 0.24 * min(len(tokens), 60)), 3.2)
    axes = figure.subplots()
    colours = [BLUE if v >= 0 else VERMILION for v in contributions]
    axes.bar(range(len(tokens)), contributions, color=colours, width=0.85)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_ylabel(say("contribution to the logit", language))
    axes.margins(x=0.01)
    label_tokens(axes, tokens, first)
    if bias is not None:
        axes.text(
            0.99,
            0.97,
            f"{say('bias', language)} {bias:+.3f}",
            transform=axes.transAxes,
            ha="right",
            va="top",
            fontsize=9,
        )
    return figure


def fading(fades: Sequence[Fade], title: str, language: Language) -> Figure:
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
    axes.set_title(title, fontsize=10, loc="left")
    axes.legend(frameon=False, fontsize=9)
    return figure


def saturation(low: dict[str, Values], high: dict[str, Values], title: str, language: Language) -> Figure:
    """One dot a unit: how often it is shut against how often it is open (Karpathy et al. 2015); [unit] each."""
    figure = new(2.7 * len(low) + 0.6, 3.4)
    panels = np.atleast_1d(figure.subplots(1, len(low), sharey=True))
    for axes, name in zip(panels, low, strict=True):
        axes.scatter(low[name], high[name], s=14, alpha=0.6, color=GATE_COLOURS.get(name, GREY), linewidths=0)
        axes.plot([0, 1], [1, 0], color=GREY, linewidth=0.8, linestyle=":")
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        axes.set_title(say(name, language), fontsize=10)
        axes.set_xlabel(say("share of timesteps below 0.1", language), fontsize=8)
    panels[0].set_ylabel(say("share of timesteps above 0.9", language), fontsize=8)
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    return figure
