"""A text as a paragraph, each token shaded by what it gave to the label: what most people want to see first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from .canvas import GREY, SIGNED_SCALE, caption, font_of, new, title, visible, width_of
from .words import SENTENCES, Language, say

_SIZE, _LINE, _WIDTH = 13.0, 23.0, 9.0  # points of a letter and of a line, inches of the picture
_MARGIN, _HEAD = 10.0, 34.0  # points beside the text, and above and below it
_PALE = 0.15  # of the scale's middle: below it a token stays white
_WORD = 40  # characters of a token that are drawn


@dataclass(frozen=True)
class Shaded:
    """tokens with what stands before each (white space or nothing), and contributions [token]."""

    tokens: Sequence[str]
    gaps: Sequence[str]
    contributions: NDArray[np.float64]


@dataclass(frozen=True)
class _Place:
    index: int
    line: int
    left: float
    width: float


def highlight(text: Shaded, heading: str, language: Language, notes: Sequence[str] = ()) -> Figure:
    """notes: what is left out of a text that is too long, and the bias."""
    places = list(_places(text, _WIDTH * 72 - 2 * _MARGIN))
    height = (places[-1].line + 1) * _LINE + _HEAD
    figure = new(_WIDTH, height / 72 + 1.1)
    axes = figure.subplots()
    axes.set(xlim=(0, _WIDTH * 72), ylim=(height, 0))
    axes.axis("off")
    axes.set_title(title(heading, _WIDTH), fontsize=10, loc="left")
    largest = float(np.abs(text.contributions).max()) or 1.0
    scale, colours = Normalize(-largest, largest), matplotlib.colormaps[SIGNED_SCALE]
    font = font_of(_SIZE)
    for place in places:
        value = float(text.contributions[place.index])
        middle = _HEAD / 2 + (place.line + 0.5) * _LINE
        corner = (_MARGIN + place.left, middle - _LINE * 0.42)
        red, green, blue, _ = colours(scale(value)) if abs(value) > largest * _PALE / 10 else (1.0, 1.0, 1.0, 1.0)
        axes.add_patch(Rectangle(corner, place.width, _LINE * 0.84, facecolor=(red, green, blue), linewidth=0))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
        word = visible(text.tokens[place.index], _WORD)
        axes.text(
            corner[0] + place.width / 2,
            middle,
            word,
            fontproperties=font,
            ha="center",
            va="center",
            color="w" if dark else "k",
        )
    bar = figure.colorbar(matplotlib.cm.ScalarMappable(scale, colours), ax=axes, orientation="horizontal", aspect=60)
    bar.set_label(say("contribution to the logit", language), fontsize=9)
    bar.outline.set_edgecolor(GREY)
    caption(figure, SENTENCES["highlight"][language], language, notes)
    return figure


def _places(text: Shaded, width: float) -> Iterator[_Place]:
    """Tokens set in lines; a line break of the text starts a new one, other white space is a space."""
    space, line, left = width_of("n", _SIZE) * 0.6, 0, 0.0
    for index, (token, gap) in enumerate(zip(text.tokens, text.gaps, strict=True)):
        wide = width_of(visible(token, _WORD).replace(r"\$", "$"), _SIZE) + 2.0
        if "\n" in gap and left > 0:
            line, left = line + 1, 0.0
        elif gap and left > 0:
            left += space
        if left + wide > width and left > 0:
            line, left = line + 1, 0.0
        yield _Place(index, line, left, wide)
        left += wide
