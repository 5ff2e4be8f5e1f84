"""What every picture shares: the font, the colours, the words in both languages, and the way to bytes.

Colours are Okabe and Ito's (2008), and matplotlib's cividis and PuOr: any colour vision tells them apart.
"""

import io
from functools import cache
from pathlib import Path
from typing import Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.text import Text

Language = Literal["en", "zh"]
BLUE, ORANGE, GREEN, VERMILION, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#595959"
GATE_COLOURS = {"input_gate": GREEN, "forget_gate": BLUE, "cell_gate": PURPLE, "output_gate": ORANGE}
UNIT_SCALE, SIGNED_SCALE = "cividis", "PuOr_r"  # for [0, 1] and for [-1, 1]
_FONT = Path(__file__).parent / "fonts" / "wqy-microhei-subset.ttf"

WORDS: dict[str, str] = {
    "input_gate": "输入门 i",
    "forget_gate": "遗忘门 f",
    "cell_gate": "候选值 g",
    "output_gate": "输出门 o",
    "cell_state": "细胞状态 c",
    "hidden_state": "隐藏状态 h",
    "token": "词",
    "unit": "单元",
    "read at token t": "读到第 t 个词时",
    "kept from token s": "仍保留的第 s 个词",
    "retention, mean over units": "保留率（单元平均）",
    "contribution to the logit": "对 logit 的贡献",
    "distance to the last token": "与最后一个词的距离",
    "gradient norm": "梯度范数",
    "half-life": "半衰期",
    "tokens": "个词",
    "share of timesteps below 0.1": "低于 0.1 的时间步占比",
    "share of timesteps above 0.9": "高于 0.9 的时间步占比",
    "fit": "拟合",
    "bias": "偏置",
    "target": "目标",
    "unit of the cell": "单元",
    "step": "时间步",
    "of": "，共",
    "layer": "层",
    "forward": "前向",
    "reverse": "反向",
}


def say(words: str, language: Language) -> str:
    """The words in the language asked; names that both share stay."""
    return WORDS.get(words, words) if language == "zh" else words.replace("_", " ")


@cache
def font() -> FontProperties:
    """A font with Chinese characters, which comes with the package; what it lacks is drawn by matplotlib's own."""
    fontManager.addfont(str(_FONT))
    name = FontProperties(fname=str(_FONT)).get_name()
    return FontProperties(family=[name, "DejaVu Sans"])


def new(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    return Figure(figsize=(width, height), layout="constrained", dpi=110)


def write(figure: Figure, media_type: str) -> bytes:
    """PNG or SVG; an SVG's texts are outlines, so that it looks the same everywhere."""
    for text in figure.findobj(Text):
        text.set_fontfamily(font().get_family())
    out = io.BytesIO()
    kind = "svg" if media_type == "image/svg+xml" else "png"
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "gatescope"}):
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


def visible(token: str) -> str:
    """A token as it can be drawn: control characters as their code points, a dollar as itself."""
    shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in token[:14])
    return shown.replace("$", r"\$")
