"""How good a network is: accuracy of a classifier, entity-level F1 of a tagger, both by label and by length."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..runtime.runner import Runner
from .batches import Example
from .confusion import NO_ENTITY, confusion
from .predicted import Predicted, predict_examples

LENGTH_EDGES = (10, 20, 40, 80, 160, 320)  # tokens; bins of the accuracy-by-length table


def differing(one: Predicted, other: Predicted) -> int:
    """How many texts get another label, or other tags."""
    if one.logits is not None and other.logits is not None:
        return int((one.logits.argmax(1) != other.logits.argmax(1)).sum())
    return sum(not np.array_equal(a, b) for a, b in zip(one.paths, other.paths, strict=True))


def summary(runner: Runner, labels: Sequence[str], examples: Sequence[Example], balance: bool = False) -> float:
    """The one figure that early stopping watches: F1 over entities, or accuracy, or with `balance` macro F1.

    Accuracy would choose the epoch in which a rare class is least often predicted.
    """
    predicted = predict_examples(runner, examples)
    if predicted.logits is None:
        return f1(predicted, labels)
    return macro_f1(predicted, labels) if balance else accuracy(predicted)


def accuracy(predicted: Predicted) -> float:
    assert predicted.logits is not None
    return float(np.mean(predicted.logits.argmax(1) == np.array(predicted.targets)))


@dataclass(frozen=True)
class LabelScore:
    """One class, or one kind of entity. support: how many there are in the data."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


def label_scores(predicted: Predicted, labels: Sequence[str]) -> list[LabelScore]:
    """Precision, recall and F1 of each label, in the labels' order."""
    counts = confusion(predicted, labels).counts
    return [
        _label_score(label, int(counts[k, k]), int(counts[:, k].sum()), int(counts[k].sum()))
        for k, label in enumerate(labels)
    ]


def _label_score(label: str, right: int, found: int, support: int) -> LabelScore:
    return LabelScore(label, right / max(1, found), right / max(1, support), _f1(right, found, support), support)


def macro_f1(predicted: Predicted, labels: Sequence[str]) -> float:
    return float(np.mean([score.f1 for score in label_scores(predicted, labels)]))


def f1(predicted: Predicted, labels: Sequence[str]) -> float:
    """Entity-level, micro-averaged: an entity counts where its span and its label are right (CoNLL-2003)."""
    return _f1(*_entity_counts(predicted, labels))


def precision_recall(predicted: Predicted, labels: Sequence[str]) -> tuple[float, float]:
    right, found, support = _entity_counts(predicted, labels)
    return right / max(1, found), right / max(1, support)


def by_length(
    predicted: Predicted, lengths: Sequence[int], labels: Sequence[str]
) -> list[dict[str, float | int | None]]:
    """The figure in bins of text length: ``{"from", "to", "texts", "figure"}``; ``to`` None is without end."""
    edges = (0, *LENGTH_EDGES, None)
    out: list[dict[str, float | int | None]] = []
    for low, high in itertools.pairwise(edges):
        assert low is not None
        rows = [i for i, n in enumerate(lengths) if low < n and (high is None or n <= high)]
        if rows:
            part = _rows(predicted, rows)
            figure = accuracy(part) if part.logits is not None else f1(part, labels)
            out.append({"from": low + 1, "to": high, "texts": len(rows), "figure": round(figure, 4)})
    return out


def _rows(predicted: Predicted, rows: Sequence[int]) -> Predicted:
    targets = tuple(predicted.targets[i] for i in rows)
    if predicted.logits is not None:
        return Predicted(targets, logits=predicted.logits[list(rows)])
    return Predicted(targets, paths=tuple(predicted.paths[i] for i in rows))


def _entity_counts(predicted: Predicted, labels: Sequence[str]) -> tuple[int, int, int]:
    """Entities that are right, that were found, and that are in the data."""
    table = confusion(predicted, labels)
    known = [k for k, label in enumerate(table.labels) if label != NO_ENTITY]
    return int(np.trace(table.counts)), int(table.counts[:, known].sum()), int(table.counts[known].sum())


def _f1(right: int, found: int, support: int) -> float:
    return float(2 * right / (found + support)) if found + support else 0.0
