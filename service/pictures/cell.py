"""The lecture's own diagram of one step, with that step's numbers on every wire.

Yellow boxes are learned layers, pink circles point operations; the belt runs along the top. The numbers are one unit's.
"""

import math
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from .canvas import caption, new, title, visible
from .words import SENTENCES, Language, say

_WORD = 8  # characters of the token that there is room for
_YELLOW, _PINK, _GREEN, _WIRE = "#FFF3B0", "#F7C6D9", "#E3F1E3", "#333333"
_GATES = (("forget_gate", "σ", "f"), ("input_gate", "σ", "i"), ("cell_gate", "tanh", "g"), ("output_gate", "σ", "o"))


@dataclass(frozen=True)
class CellStep:
    """One unit at one timestep.

    values: tensor name -> value, ``cell_state`` and ``hidden_state`` among them; previous: h_{t-1} and c_{t-1}.
    from_input, from_state, bias: gate name (RNN: hidden_state) -> its share of z: U x_t, W S_{t-1}, b_ih + b_hh.
    """

    token: str
    timestep: int
    unit: int
    values: dict[str, float]
    previous: dict[str, float]
    from_input: dict[str, float]
    from_state: dict[str, float]
    bias: dict[str, float]


def cell(step: CellStep, heading: str, language: Language) -> Figure:
    """The LSTM's belt and gates, or the RNN's single layer."""
    figure = new(9.6, 6.1)
    axes = figure.subplots()
    axes.set(xlim=(0, 12.1), ylim=(-0.9, 6.7), aspect="equal")
    axes.axis("off")
    axes.set_title(title(heading, 9.6), fontsize=10, loc="left")
    axes.add_patch(
        FancyBboxPatch((2.0, 1.3), 8.6, 5.1, boxstyle="round,pad=0.1,rounding_size=0.4", fc=_GREEN, ec=_WIRE, zorder=0)
    )
    if "cell_state" in step.values:
        _lstm(axes, step, language)
    else:
        _rnn(axes, step, language)
    whole = [f"{say('token', language)}: {step.token}"] if len(step.token) > _WORD else []
    caption(figure, SENTENCES["cell"][language], language, whole)
    return figure


def _lstm(axes: Axes, step: CellStep, language: Language) -> None:
    v, before = step.values, step.previous
    belt, low = 5.7, 1.9
    _wire(axes, (0.2, belt), (11.9, belt), width=2.4)
    _write(axes, 0.15, belt + 0.22, rf"$C_{{t-1}}$ = {before['cell_state']:+.3f}", ha="left")
    _write(axes, 11.95, belt + 0.22, rf"$C_t$ = {v['cell_state']:+.3f}", ha="right")
    _inputs(axes, step, low)
    places = dict(zip([g[0] for g in _GATES], (2.9, 4.7, 6.3, 8.2), strict=True))
    _wire(axes, (0.2, low), (8.2, low), head=False)
    for gate, kind, letter in _GATES:
        x = places[gate]
        _wire(axes, (x, low), (x, 3.0))
        _layer(axes, x, 3.25, kind)
        _write(
            axes,
            x,
            2.42,
            f"z = {step.from_input[gate] + step.from_state[gate] + step.bias[gate]:+.2f}",
            size=8,
            ha="center",
            back=True,
        )
        _write(axes, x + 0.12, 3.82, f"{letter} = {v[gate]:+.3f}", ha="left", back=True)
    _wire(axes, (2.9, 3.5), (2.9, belt - 0.25))
    _point(axes, 2.9, belt, "×")
    meet = 4.55
    _wire(axes, (4.7, 3.5), (4.7, meet), head=False)
    _wire(axes, (4.7, meet), (5.2, meet))
    _wire(axes, (6.3, 3.5), (6.3, meet), head=False)
    _wire(axes, (6.3, meet), (5.7, meet))
    _point(axes, 5.45, meet, "×")
    _write(axes, 5.58, 5.05, f"i∗g = {v['input_gate'] * v['cell_gate']:+.3f}", ha="left", size=8)
    _wire(axes, (5.45, meet + 0.25), (5.45, belt - 0.25))
    _point(axes, 5.45, belt, "+")
    _write(axes, 3.25, belt + 0.22, f"f∗C = {v['forget_gate'] * before['cell_state']:+.3f}", ha="left", size=8)
    tanh = 9.7
    _wire(axes, (tanh, belt), (tanh, 4.85))
    _point(axes, tanh, 4.6, "tanh", radius=0.34)
    _wire(axes, (tanh, 4.28), (tanh, 3.55))
    _write(axes, tanh + 0.1, 3.8, f"{math.tanh(v['cell_state']):+.3f}", ha="left", size=8)
    _point(axes, tanh, 3.3, "×")
    _wire(axes, (8.45, 3.3), (tanh - 0.25, 3.3))
    out = v["hidden_state"]
    _wire(axes, (tanh, 3.05), (tanh, low), head=False)
    _wire(axes, (tanh, low), (11.9, low))
    _write(axes, 11.95, low + 0.2, rf"$S_t$ = {out:+.3f}", ha="right")
    _write(axes, 11.95, low - 0.4, f"({say('hidden_state', language)})", ha="right", size=8)


def _rnn(axes: Axes, step: CellStep, language: Language) -> None:
    low, x = 2.4, 6.0
    _inputs(axes, step, low)
    _wire(axes, (0.2, low), (x, low), head=False)
    _wire(axes, (x, low), (x, 3.3))
    _layer(axes, x, 3.6, "tanh")
    name = "hidden_state"
    _write(
        axes, x + 0.2, 2.85, f"z = {step.from_input[name] + step.from_state[name] + step.bias[name]:+.3f}", ha="left"
    )
    _wire(axes, (x, 3.9), (x, 4.8), head=False)
    _wire(axes, (x, 4.8), (11.9, 4.8))
    _write(axes, 11.95, 5.0, rf"$S_t$ = {step.values[name]:+.3f}", ha="right")
    _write(axes, 11.95, 4.4, f"({say(name, language)})", ha="right", size=8)


def _inputs(axes: Axes, step: CellStep, low: float) -> None:
    """x_t from below, S_{t-1} from the left, and what each adds to every z."""
    _write(axes, 0.15, low + 0.2, rf"$S_{{t-1}}$ = {step.previous['hidden_state']:+.3f}", ha="left")
    _wire(axes, (2.4, 0.15), (2.4, low), head=False)
    axes.add_patch(Circle((2.4, -0.2), 0.34, fc="white", ec=_WIRE))
    _write(axes, 2.4, -0.2, "$x_t$", ha="center", va="center")
    _write(axes, 2.9, -0.2, f"“{visible(step.token, _WORD)}”", ha="left", va="center", size=13)
    shares = [(g[2], g[0]) for g in _GATES if g[0] in step.from_input] or [("S", "hidden_state")]
    for line, (what, part) in enumerate(
        (("$U x_t$", step.from_input), ("$W S_{t-1}$", step.from_state), ("$b$", step.bias))
    ):
        numbers = "   ".join(f"{letter} {part[name]:+.2f}" for letter, name in shares)
        _write(axes, 5.0, 0.75 - line * 0.5, what, ha="left", va="center")
        _write(axes, 6.3, 0.75 - line * 0.5, numbers, ha="left", va="center", size=9)


def _wire(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], head: bool = True, width: float = 1.3
) -> None:
    style = "-|>" if head else "-"
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle=style, mutation_scale=11, lw=width, color=_WIRE, shrinkA=0, shrinkB=0, zorder=1
        )
    )


def _layer(axes: Axes, x: float, y: float, words: str) -> None:
    axes.add_patch(
        FancyBboxPatch((x - 0.36, y - 0.25), 0.72, 0.5, boxstyle="square,pad=0", fc=_YELLOW, ec=_WIRE, zorder=2)
    )
    _write(axes, x, y, words, ha="center", va="center")


def _point(axes: Axes, x: float, y: float, words: str, radius: float = 0.26) -> None:
    axes.add_patch(Circle((x, y), radius, fc=_PINK, ec=_WIRE, zorder=2))
    _write(axes, x, y, words, ha="center", va="center", size=11 if len(words) == 1 else 8)


def _write(
    axes: Axes, x: float, y: float, words: str, ha: str, va: str = "baseline", size: int = 10, back: bool = False
) -> None:
    box = {"facecolor": _GREEN, "edgecolor": "none", "pad": 0.5} if back else None
    axes.text(x, y, words, ha=ha, va=va, fontsize=size, zorder=3, bbox=box)
