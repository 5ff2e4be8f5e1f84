"""What is taken for what: counts of each label's texts, or entities, by the label that they were given."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..network.spans import Span, bio_tags, to_spans
from .predicted import Predicted

NO_ENTITY = ""  # no label is empty


@dataclass(frozen=True)
class Confusion:
    """counts int64 [true label, predicted label].

    For taggers the last label is `NO_ENTITY`: its row counts entities that were found where the data have none with
    just these tokens, its column those that were not found.
    """

    labels: tuple[str, ...]
    counts: NDArray[np.int64]

    def most_frequent(self) -> list[tuple[str, str, int]]:
        """(true, predicted, how often) of each mistake, the most frequent first."""
        wrong = self.counts - np.diag(np.diag(self.counts))
        places = np.argwhere(wrong)
        order = np.argsort(-wrong[tuple(places.T)], kind="stable")
        return [(self.labels[i], self.labels[j], int(wrong[i, j])) for i, j in places[order]]


def confusion(predicted: Predicted, labels: Sequence[str]) -> Confusion:
    """Of a classifier's texts; of a tagger's entities, which are the same where they span the same tokens."""
    if predicted.logits is not None:
        counts = np.zeros((len(labels), len(labels)), np.int64)
        np.add.at(counts, (np.array(predicted.targets), predicted.logits.argmax(1)), 1)
        return Confusion(tuple(labels), counts)
    tags, places = bio_tags(labels), {label: k for k, label in enumerate((*labels, NO_ENTITY))}
    counts = np.zeros((len(places), len(places)), np.int64)
    for path, target in zip(predicted.paths, predicted.targets, strict=True):
        found, meant = (_by_place(to_spans([tags[k] for k in row])) for row in (path, target))
        for span in found.keys() | meant.keys():
            counts[places[meant.get(span, NO_ENTITY)], places[found.get(span, NO_ENTITY)]] += 1
    return Confusion(tuple(places), counts)


def _by_place(spans: Sequence[Span]) -> dict[tuple[int, int], str]:
    return {(span.start, span.stop): span.label for span in spans}
