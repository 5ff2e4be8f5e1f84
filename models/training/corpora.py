"""Rows of training data: a text and its label, or a text and its entities."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ..network.spans import Span, to_spans, to_tags
from ..text.tokenizers import Tokenizer
from ..text.tokens import Token


@dataclass(frozen=True)
class LabelledText:
    """A text and its class.

    line: where the row begins in its file, for messages; taught: P of each label as teachers say, see `teachers`.
    """

    text: str
    label: str
    line: int = field(default=0, compare=False, repr=False)
    taught: tuple[float, ...] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class TaggedText:
    """A sentence and its entities; each entity is (label, start, end) in characters of ``text``.

    line: where the sentence begins in its file, for messages.
    """

    text: str
    entities: tuple[Span, ...]
    line: int = field(default=0, compare=False, repr=False)


def labels_of(row: LabelledText | TaggedText) -> set[str]:
    """The row's label, or the kinds of its entities."""
    return {row.label} if isinstance(row, LabelledText) else {entity.label for entity in row.entities}


def ordered_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Each label once: by number where all are integers, else by code point."""
    distinct = sorted(set(labels))
    if all(re.fullmatch(r"-?[0-9]{1,18}", label) for label in distinct):
        distinct.sort(key=int)
    return tuple(distinct)


def tags_of(row: TaggedText, tokens: Sequence[Token]) -> list[str]:
    """The row's entities as tags of this tokeniser's tokens: a token inside an entity carries its label."""
    spans = []
    for entity in row.entities:
        inside = [t for t, token in enumerate(tokens) if token.start < entity.stop and token.end > entity.start]
        if inside:
            spans.append(Span(entity.label, inside[0], inside[-1] + 1))
    return to_tags(spans, len(tokens))


def split_long(row: TaggedText, tokenizer: Tokenizer, longest: int) -> Iterator[TaggedText]:
    """A sentence of more than `longest` tokens in parts, never cut through an entity.

    A part is longer than `longest` only where it is one entity that is.
    """
    tokens = tokenizer(row.text)
    spans = to_spans(tags_of(row, tokens))
    start = 0
    while len(tokens) - start > longest:
        stop = start + longest
        for span in spans:
            if span.start < stop < span.stop:
                stop = span.start if span.start > start else span.stop
        if stop == len(tokens):
            break
        yield _part(row, tokens[start].start, tokens[stop].start)
        start = stop
    yield _part(row, tokens[start].start if tokens else 0, len(row.text))


def _part(row: TaggedText, start: int, end: int) -> TaggedText:
    inside = (e for e in row.entities if e.start >= start and e.stop <= end)
    return TaggedText(row.text[start:end], tuple(Span(e.label, e.start - start, e.stop - start) for e in inside))
