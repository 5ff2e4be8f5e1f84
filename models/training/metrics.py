"""How good a network is: accuracy of a classifier, entity-level F1 of a tagger, its temperature, and both by length."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..network.crf import FORBIDDEN
from ..network.network import Classifier
from ..network.spans import bio_tags, to_spans
from ..runtime.runner import Runner
from .batches import Example, in_order

LENGTH_EDGES = (10, 20, 40, 80, 160, 320)  # tokens; the bins in which accuracy by length is told


@dataclass(frozen=True)
class Predicted:
    """What a network says of examples, in their order.

    logits: of a classifier, [text, label]; paths: of a tagger, the decoded tags of each text.
    """

    targets: tuple[NDArray[np.int64], ...]
    logits: NDArray[np.float32] | None = None
    paths: tuple[NDArray[np.int64], ...] = ()


@torch.no_grad()
def predict_examples(runner: Runner, examples: Sequence[Example], batch_size: int = 64) -> Predicted:
    network = runner.network.eval()
    logits: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(examples)
    paths: list[NDArray[np.int64]] = [np.empty(0, np.int64)] * len(examples)
    for rows, batch in in_order(examples, batch_size):
        run, _ = runner.run(batch.ids, batch.lengths, "nothing")
        outputs = runner.outputs(run)
        if batch.barred is not None:
            outputs = outputs.masked_fill(batch.barred.to(outputs.device), FORBIDDEN)
        if isinstance(network, Classifier):
            for row, values in zip(rows, outputs.cpu().numpy(), strict=True):
                logits[row] = values.copy()
        else:
            for row, path in zip(rows, network.crf.viterbi(outputs, run.lengths), strict=True):
                paths[row] = np.array(path)
    targets = tuple(e.target for e in examples)
    if isinstance(network, Classifier):
        return Predicted(targets, logits=np.stack(logits))
    return Predicted(targets, paths=tuple(paths))


def differing(one: Predicted, other: Predicted) -> int:
    """How many texts get another label, or other tags."""
    if one.logits is not None and other.logits is not None:
        return int((one.logits.argmax(1) != other.logits.argmax(1)).sum())
    return sum(not np.array_equal(a, b) for a, b in zip(one.paths, other.paths, strict=True))


def summary(runner: Runner, labels: Sequence[str], examples: Sequence[Example]) -> float:
    """The one figure that early stopping watches: accuracy, or F1 over entities."""
    predicted = predict_examples(runner, examples)
    return accuracy(predicted) if predicted.logits is not None else f1(predicted, labels)


def accuracy(predicted: Predicted) -> float:
    assert predicted.logits is not None
    return float(np.mean(predicted.logits.argmax(1) == np.array(predicted.targets)))


def label_f1(predicted: Predicted, labels: Sequence[str], label: str) -> float:
    """F1 of one class, or of one kind of entity."""
    if predicted.logits is None:
        return f1(predicted, labels, only=label)
    k, said, meant = labels.index(label), predicted.logits.argmax(1), np.array(predicted.targets)
    return _f1(int(((said == k) & (meant == k)).sum()), int((said == k).sum()), int((meant == k).sum()))


def macro_f1(predicted: Predicted, labels: Sequence[str]) -> float:
    return float(np.mean([label_f1(predicted, labels, label) for label in labels]))


def expected_calibration_error(predicted: Predicted, temperature: float, bins: int = 15) -> float:
    """Mean distance between how sure a classifier is and how often it is right (Guo et al. 2017)."""
    assert predicted.logits is not None
    scores = torch.softmax(torch.tensor(predicted.logits, dtype=torch.float64) / temperature, dim=1).numpy()
    sure, right = scores.max(1), scores.argmax(1) == np.array(predicted.targets)
    place = np.minimum((sure * bins).astype(int), bins - 1)
    return float(sum(abs(right[place == b].mean() - sure[place == b].mean()) * (place == b).mean() for b in set(place)))


def f1(predicted: Predicted, labels: Sequence[str], only: str | None = None) -> float:
    """Entity-level, micro-averaged: an entity counts where its span and its label are right (CoNLL-2003)."""
    right, said, meant = _entity_counts(predicted, labels, only)
    return _f1(right, said, meant)


def precision_recall(predicted: Predicted, labels: Sequence[str]) -> tuple[float, float]:
    right, said, meant = _entity_counts(predicted, labels, None)
    return right / max(1, said), right / max(1, meant)


def temperature(predicted: Predicted) -> float:
    """The one number that divides the logits so that scores are as often right as they say (Guo et al. 2017)."""
    assert predicted.logits is not None
    logits, targets = torch.tensor(predicted.logits, dtype=torch.float64), torch.tensor(np.array(predicted.targets))
    grid = np.exp(np.linspace(np.log(0.25), np.log(6.0), 400))
    losses = [float(nn.functional.cross_entropy(logits / t, targets)) for t in grid]
    return round(float(grid[int(np.argmin(losses))]), 3)


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


def _entity_counts(predicted: Predicted, labels: Sequence[str], only: str | None) -> tuple[int, int, int]:
    tags = bio_tags(labels)
    right = said = meant = 0
    for path, target in zip(predicted.paths, predicted.targets, strict=True):
        found, gold = (
            {s for s in to_spans([tags[k] for k in row]) if only in (None, s.label)} for row in (path, target)
        )
        right, said, meant = right + len(found & gold), said + len(found), meant + len(gold)
    return right, said, meant


def _f1(right: int, said: int, meant: int) -> float:
    return float(2 * right / (said + meant)) if said + meant else 0.0
