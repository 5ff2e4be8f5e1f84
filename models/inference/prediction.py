"""A prepared text, and the prediction for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..analysis.reductions import Reduced
from ..recurrence.certificate import Certificate
from ..text.features import TextIds
from ..text.tokenizers import KIND_FORMS
from ..text.tokens import Tokens
from ..text.vocabulary import UNKNOWN
from .inspection import Selection

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Prepared:
    """A text with its tokens and the ids that the model reads."""

    text: str
    tokens: Tokens
    ids: TextIds = field(repr=False)

    def __len__(self) -> int:
        return len(self.tokens.forms)

    @property
    def known_fraction(self) -> float:
        """The share of the tokens whose form is in the vocabulary, and not one of a kind such as <emoji>."""
        forms = self.tokens.forms
        known = len(forms) - self.ids["token"].ravel().tolist().count(UNKNOWN)
        if not KIND_FORMS.isdisjoint(forms):
            known = max(0, known - sum(form in KIND_FORMS for form in forms))
        return known / len(forms)

    def prefix(self, length: int) -> "Prepared":
        """The first `length` tokens; their ids stay the same, because no feature of a token reads later tokens."""
        return Prepared(self.text, self.tokens[:length], {kind: ids[:length] for kind, ids in self.ids.items()})


@dataclass(frozen=True)
class Entity:
    """``text == raw[start:end]``; score is the exact CRF marginal probability of the span."""

    label: str
    text: str
    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Prefixes:
    """The best label and its score for each prefix of the text; from commit_timestep on the label never changes."""

    labels: tuple[str, ...]
    scores: tuple[float, ...]
    commit_timestep: int

    @classmethod
    def of_best(cls, labels: Sequence[str], scores: NDArray[np.float64]) -> "Prefixes":
        """Of the best label and its score after each token."""
        changes = [n + 1 for n, label in enumerate(labels) if label != labels[-1]]
        return cls(tuple(labels), tuple(map(float, scores)), max(changes, default=0))


@dataclass(frozen=True)
class Inside:
    """The inspection of one text. tensors: name -> float32 [layer, direction, timestep, unit], as selected."""

    selection: Selection
    tensors: dict[str, Array]
    certificate: Certificate
    reductions: Reduced | None = None
    prefixes: Prefixes | None = None
    embedding: Array | None = None
    emissions: Array | None = None
    marginals: Array | None = None


class Prediction(NamedTuple):
    """The prediction for one text. scores of every label, best first (classifiers); entities in text order (taggers).

    logits: before temperature, float32 [label] in the order of the model's labels, or [time, tag].
    known_fraction: as `Prepared` has it: where it is low, little of the text was in the training data.
    """

    tokens: Tokens
    logits: Array
    known_fraction: float
    scores: tuple[tuple[str, float], ...] | None = None
    entities: tuple[Entity, ...] | None = None
    inside: Inside | None = None
