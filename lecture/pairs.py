"""The stored evaluations of the RNN/LSTM pairs: two models with equal data, features, size and recipe but two cells."""

import json
from pathlib import Path
from typing import Any

from models.recurrence.cells import Cell

CELLS: tuple[Cell, Cell] = ("rnn", "lstm")

Rows = list[dict[str, Any]]
Pairs = dict[str, dict[str, Rows]]


def stored(weights: Path, key: str) -> Pairs:
    """pair -> cell -> the rows under `key` of its evaluation.json; a pair is `x-rnn` and `x-lstm`."""
    rnns = (folder.name.removesuffix("-rnn") for folder in weights.glob("*-rnn"))
    pairs = sorted(name for name in rnns if (weights / f"{name}-lstm" / "evaluation.json").is_file())
    return {pair: {cell: evaluation(weights / f"{pair}-{cell}")[key] for cell in CELLS} for pair in pairs}


def evaluation(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "evaluation.json").read_text("utf-8"))
    return content
