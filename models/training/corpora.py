"""Readers of training data: JSON lines for classification, two-column BIO for entities.

A bad row is an error with its file and line; nothing is skipped in silence.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..errors import BadRow, TrainingError
from ..network.spans import Span, to_spans, to_tags
from ..text.tokenizers import Tokenizer
from ..text.tokens import Token

Row = TypeVar("Row")


@dataclass(frozen=True)
class LabelledText:
    """``{"text", "label"}``"""

    text: str
    label: str


@dataclass(frozen=True)
class TaggedText:
    """A sentence and its entities; each entity is (label, start, end) in characters of ``text``."""

    text: str
    entities: tuple[Span, ...]


def read_labelled(path: Path) -> list[LabelledText]:
    """JSON lines of ``{"text": "...", "label": "..."}``.

    Raises: BadRow with file and line; TrainingError where the file cannot be read or holds nothing.
    """
    rows = []
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            why = getattr(error, "msg", "nested too deep, or a number too long")
            raise BadRow(path, number, f"not JSON ({why}): each line is an object with text and label") from error
        if not isinstance(row, dict) or not all(isinstance(row.get(k), str) for k in ("text", "label")):
            raise BadRow(path, number, 'found no text and label as strings: a row is {"text": "...", "label": "..."}')
        if not row["text"].strip() or not row["label"].strip():
            raise BadRow(path, number, "text or label is empty: remove the row or fill it")
        if "\n" in row["label"].strip():
            raise BadRow(path, number, "the label has a line break: labels are stored one a line")
        if any("\ud800" <= c <= "\udfff" for c in row["text"] + row["label"]):
            raise BadRow(path, number, "found a lone surrogate, which is no character: repair the text")
        rows.append(LabelledText(row["text"], row["label"].strip()))
    return _some(path, rows)


def read_tagged(path: Path, separator: str) -> list[TaggedText]:
    """Two columns, token and BIO tag, a tab or a space between; a blank line ends a sentence.

    Args:   separator: what stands between tokens in running text, "" for Chinese and " " for English.
    Raises: BadRow with file and line; TrainingError where the file cannot be read or holds nothing.
    """
    rows, tokens, tags = [], [], []
    for number, line in [*_lines(path), (-1, "")]:
        if line.strip():
            token, tag = _columns(path, number, line)
            tokens.append(token)
            tags.append(tag)
        elif tokens:
            rows.append(_joined(tokens, tags, separator))
            tokens, tags = [], []
    return _some(path, rows)


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


def _columns(path: Path, number: int, line: str) -> tuple[str, str]:
    columns = line.split("\t") if "\t" in line else line.split()
    if len(columns) != 2:
        raise BadRow(path, number, f"found {len(columns)} columns: a row is a token, a tab and its tag")
    token, tag = columns[0].strip(), columns[1].strip()
    if tag != "O" and not (tag[:2] in ("B-", "I-") and len(tag) > 2):
        raise BadRow(path, number, f"tag {tag!r} is not O, B-X or I-X")
    if not token:
        raise BadRow(path, number, "the token is empty")
    return token, tag


def _joined(tokens: Sequence[str], tags: Sequence[str], separator: str) -> TaggedText:
    starts, at = [], 0
    for token in tokens:
        starts.append(at)
        at += len(token) + len(separator)
    entities = (Span(s.label, starts[s.start], starts[s.stop - 1] + len(tokens[s.stop - 1])) for s in to_spans(tags))
    return TaggedText(separator.join(tokens), tuple(entities))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    for number, raw in enumerate(text.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        try:
            yield number, raw.decode("utf-8").rstrip("\r")
        except UnicodeDecodeError as error:
            raise BadRow(path, number, f"not UTF-8 ({error.reason}): save the file as UTF-8") from error


def _some(path: Path, rows: list[Row]) -> list[Row]:
    if not rows:
        raise TrainingError(f"{path} holds no row")
    return rows
