"""What every picture shares: the font, the colours, the words in both languages, and the way to bytes.

Colours are Okabe and Ito's (2008), and matplotlib's cividis and PuOr: any colour vision tells them apart.
"""

import io
import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from .words import Language

BLUE, ORANGE, GREEN, VERMILION, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#595959"
GATE_COLOURS = {"input_gate": GREEN, "forget_gate": BLUE, "cell_gate": PURPLE, "output_gate": ORANGE}
UNIT_SCALE, SIGNED_SCALE = "cividis", "PuOr_r"  # for [0, 1] and for [-1, 1]
LONGEST_WORD = 14  # characters of a token that are drawn; a longer one ends in …
_FONT = Path(__file__).parent / "fonts" / "wqy-microhei-subset.ttf"


@cache
def font() -> FontProperties:
    """A font with Chinese characters, which comes with the package; what it lacks is drawn by matplotlib's own."""
    fontManager.addfont(str(_FONT))
    name = FontProperties(fname=str(_FONT)).get_name()
    return FontProperties(family=[name, "DejaVu Sans"])


def new(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    return Figure(figsize=(width, height), layout="constrained", dpi=110)


def caption(figure: Figure, sentence: str, language: Language, notes: Sequence[str] = ()) -> None:
    """One sentence below everything, and what the picture leaves out, each on a line of its own."""
    characters = int(figure.get_figwidth() * (8.5 if language == "zh" else 15))
    wrapped = [line for text in (sentence, *notes) for line in textwrap.wrap(text, characters)]
    figure.supxlabel("\n".join(wrapped).replace("$", r"\$"), fontsize=9, color=GREY, x=0.01, ha="left")


def title(text: str, width: float) -> str:
    """A title that a figure of this width in inches has room for, broken into lines."""
    return "\n".join(textwrap.wrap(text, int(width * 14))).replace("$", r"\$")


def width_of(text: str, size: float) -> float:
    """Of a text as it is drawn, in points."""
    width, _, _ = text_to_path.get_text_width_height_descent(text, font_of(size), ismath=False)
    return float(width)


def font_of(size: float) -> FontProperties:
    properties = font().copy()
    properties.set_size(size)
    return properties


def write(figure: Figure, media_type: str) -> bytes:
    """PNG or SVG; an SVG's texts are outlines, so that it looks the same everywhere."""
    for text in figure.findobj(Text):
        text.set_fontfamily(font().get_family())
    out = io.BytesIO()
    kind = "svg" if media_type == "image/svg+xml" else "png"
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "gatescope", "text.hinting": "none"}):
        metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        figure.savefig(out, format=kind, metadata=metadata)
    return out.getvalue()


def label_tokens(axes: Axes, tokens: list[str], first: int = 0, at_most: int = 48) -> None:
    """Tokens below a time axis, every n-th where there are many."""
    every = -(-len(tokens) // at_most)
    places = list(range(0, len(tokens), every))
    wide = max((len(tokens[i]) for i in places), default=1) > 2
    axes.set_xticks(places, [visible(tokens[i]) for i in places], rotation=90 if wide else 0, fontsize=9)
    if every > 1:
        axes.set_xlabel(f"{first} … {first + len(tokens) - 1}")


def visible(token: str, most: int = LONGEST_WORD) -> str:
    """A token as it can be drawn: control characters as their code points, a dollar as itself, a long word cut by …"""
    printable = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in token)
    return shortened(printable, most).replace("$", r"\$")


def shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
