"""The pictures of a training run and of an evaluation, as PNG."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .confusion import Confusion
from .train import Epoch

CURVE, CONFUSION = "training.png", "confusion.png"

_FAMILIES = ("DejaVu Sans", "WenQuanYi Micro Hei", "Noto Sans CJK SC")  # matplotlib's own, then those with Chinese
_NUMBERED = 25  # labels up to which each cell of a confusion matrix has its number
_LONGEST_LABEL = 24


def draw_curve(path: Path, curve: Sequence[Epoch], figure: str) -> None:
    """Loss and the dev figure, epoch by epoch, as PNG."""
    from matplotlib.figure import Figure  # late: it takes a second

    epochs = [row.epoch + 1 for row in curve]
    canvas = Figure(figsize=(6, 3.2), layout="constrained")
    left = canvas.subplots()
    left.plot(epochs, [row.loss for row in curve], color="#D55E00", marker="o", markersize=3, label="training loss")
    left.set(xlabel="epoch", ylabel="training loss", xticks=epochs)
    right = left.twinx()
    right.plot(epochs, [row.dev for row in curve], color="#0072B2", marker="s", markersize=3, label=f"dev {figure}")
    best = max(curve, key=lambda row: row.dev)
    right.annotate(
        f"{best.dev:.4f}", (best.epoch + 1, best.dev), textcoords="offset points", xytext=(0, 6), ha="center"
    )
    right.set_ylabel(f"dev {figure}")
    right.margins(y=0.15)
    canvas.legend(handles=[*left.lines, *right.lines], loc="outside upper center", ncols=2, frameon=False)
    canvas.savefig(path, dpi=110, metadata={"Software": None})


def draw_confusion(path: Path, table: Confusion) -> None:
    """A row for each true label, a column for each predicted one; colours are shares of the row, numbers are counts."""
    from matplotlib.figure import Figure

    count = len(table.labels)
    is_numbered = count <= _NUMBERED
    size, side = (8, 2.4 + 0.34 * count) if is_numbered else (6, min(2.4 + 0.15 * count, 40))
    canvas = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = canvas.subplots()
    shares = table.counts / np.maximum(1, table.counts.sum(1, keepdims=True))
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    canvas.colorbar(image, ax=axes, label="share of the row", shrink=0.8, fraction=0.04)
    names = [_short(label) for label in table.labels]
    axes.set_xticks(range(count), names, rotation=90, fontsize=size)
    axes.set_yticks(range(count), names, fontsize=size)
    axes.set(xlabel="predicted", ylabel="true")
    for i, j in np.argwhere(table.counts) if is_numbered else ():
        colour = "white" if shares[i, j] > 0.5 else "black"
        axes.text(j, i, f"{table.counts[i, j]}", ha="center", va="center", fontsize=7, color=colour)
    _save(canvas, path, [axes.xaxis, axes.yaxis])


def _short(label: str) -> str:
    label = label or "(no entity)"
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"


def _save(canvas: Any, path: Path, axes: Sequence[Any]) -> None:
    from matplotlib.font_manager import fontManager

    known = set(fontManager.get_font_names())
    for axis in axes:
        for text in axis.get_ticklabels():
            text.set_fontfamily([family for family in _FAMILIES if family in known])
            text.set_parse_math(False)  # a dollar sign in a label is a dollar sign
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # a glyph that no font has is drawn as a box
        canvas.savefig(path, format="png", dpi=110, metadata={"Software": None})
