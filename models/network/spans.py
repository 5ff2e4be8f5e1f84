"""BIO tags <-> spans. B-X opens an entity, and so does an I-X that does not follow a B-X or I-X."""

from collections.abc import Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """Timesteps [start, stop) of one entity."""

    label: str
    start: int
    stop: int


def to_spans(tags: Sequence[str]) -> list[Span]:
    """``["B-LOC", "I-LOC", "O", "I-PER"]`` -> LOC 0..2, PER 3..4."""
    spans: list[Span] = []
    open_label: str | None = None
    for t, tag in enumerate(tags):
        prefix, _, label = tag.partition("-")
        if prefix == "O":
            open_label = None
        elif prefix == "I" and label == open_label:
            spans[-1] = spans[-1]._replace(stop=t + 1)
        else:
            spans.append(Span(label, t, t + 1))
            open_label = label
    return spans


def to_tags(spans: Sequence[Span], length: int) -> list[str]:
    """The BIO tags of `length` timesteps with these spans, which must not overlap."""
    tags = ["O"] * length
    for label, start, stop in spans:
        tags[start:stop] = [f"B-{label}"] + [f"I-{label}"] * (stop - start - 1)
    return tags


def bio_tags(labels: Sequence[str]) -> list[str]:
    """All BIO tags for these entity labels, O first."""
    return ["O", *(f"{prefix}-{label}" for label in labels for prefix in ("B", "I"))]
