"""A model's figure on labelled texts as they stand and as people type them: the same rows, changed by one rule each.

Unlike training's noise nothing is drawn: every row is changed, in the same way each time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import regex
import torch

from ..checkpoint.checkpoint import Checkpoint
from ..network.spans import to_spans
from ..runtime.runner import TorchRunner
from ..text.tokenizers import TOKENIZERS
from .augmentation import Edit, Row, edited, without_apostrophes
from .corpora import TaggedText
from .data import Rows, encode_rows
from .metrics import accuracy, f1
from .predicted import Predicted, predict_examples

_CURLY = str.maketrans({"'": "’", '"': "”", "-": "–", "`": "‘"})
_END = regex.compile(r"\s*[.!?。！？]*\s*$")


@dataclass(frozen=True)
class Robustness:
    """What a model makes of one version: accuracy or F1, and entities found that hold no letter and no digit."""

    version: str
    texts: int
    figure: float
    junk: int


def _around(left: str, right: str) -> Callable[[Row], Row]:
    return lambda row: edited(row, [Edit(0, 0, left), Edit(len(row.text), len(row.text), right)])


def _ends(mark: str) -> Callable[[Row], Row]:
    def change(row: Row) -> Row:
        found = _END.search(row.text)
        assert found is not None
        start = max(
            [found.start(), *(e.stop for e in row.entities)] if isinstance(row, TaggedText) else [found.start()]
        )
        return edited(row, [Edit(start, len(row.text), mark)])

    return change


def _case(change: Callable[[str], str]) -> Callable[[Row], Row]:
    def cased(row: Row) -> Row:
        text = "".join(change(c) if len(change(c)) == 1 else c for c in row.text)
        return replace(row, text=text)

    return cased


def _middle(put: str) -> Callable[[Row], Row]:
    def change(row: Row) -> Row:
        places = [i for i in range(1, len(row.text)) if not row.text[i - 1 : i + 1].isalpha() or not row.text.isascii()]
        if isinstance(row, TaggedText):
            places = [i for i in places if not any(e.start < i < e.stop for e in row.entities)]
        at = min(places, key=lambda i: abs(i - len(row.text) / 2), default=len(row.text))
        return edited(row, [Edit(at, at, put)])

    return change


VERSIONS: dict[str, Callable[[Row], Row]] = {
    "as it is": lambda row: row,
    "curly quotes and dashes": lambda row: replace(row, text=row.text.translate(_CURLY)),
    "an emoji at the end": _around("", " 😀"),
    "between a bullet and an ellipsis": _around("• ", " …"),
    "between <p> and </p>": _around("<p>", "</p>"),
    "!!!! at the end": _ends("!!!!"),
    "<br /><br /> inside": _middle("<br /><br />"),
    "apostrophes lost": without_apostrophes,
    "CAPS": _case(str.upper),
    "small letters": _case(str.lower),
}


def robustness(checkpoint: Checkpoint, rows: Rows, device: torch.device, kinds: Sequence[str] = ()) -> list[Robustness]:
    """The figure on each of `VERSIONS`, in their order; a version that changes nothing has the figure of the first.

    kinds: the kinds of entity that the rows were annotated with, where that is not all that the model knows.
    """
    others = [k for k, tag in enumerate(checkpoint.tags) if kinds and tag != "O" and tag[2:] not in kinds]
    runner = TorchRunner(checkpoint.network.to(device), device)
    features, tokenizer = checkpoint.network.architecture.features, checkpoint.manifest.tokenizer
    out: list[Robustness] = []
    for version, change in VERSIONS.items():
        changed = [change(row) for row in rows]
        if out and changed == list(rows):
            out.append(replace(out[0], version=version))
            continue
        examples = encode_rows(changed, tokenizer, features, checkpoint.labels, None)
        predicted = predict_examples(runner, examples)
        predicted = replace(predicted, paths=tuple(np.where(np.isin(p, others), 0, p) for p in predicted.paths))
        figure = accuracy(predicted) if predicted.logits is not None else f1(predicted, checkpoint.labels)
        out.append(Robustness(version, len(examples), figure, _junk(checkpoint, changed, predicted)))
    return out


def _junk(checkpoint: Checkpoint, rows: Rows, predicted: Predicted) -> int:
    """How many found entities hold neither a letter nor a digit."""
    tokenize, count = TOKENIZERS[checkpoint.manifest.tokenizer], 0
    texts = [row.text for row in rows if tokenize(row.text)]
    for text, path in zip(texts, predicted.paths, strict=False):
        tokens = tokenize(text)
        for span in to_spans([checkpoint.tags[k] for k in path]):
            found = text[tokens[span.start].start : tokens[span.stop - 1].end]
            count += not any(c.isalnum() for c in found)
    return count


def table(model: str, rows: Sequence[Robustness]) -> str:
    """Markdown: a line a version."""
    lines = [f"| {model} | figure | change | junk |", "|---|---|---|---|"]
    first = rows[0].figure
    lines += [f"| {r.version} | {100 * r.figure:.2f} | {100 * (r.figure - first):+.2f} | {r.junk} |" for r in rows]
    return "\n".join(lines)
