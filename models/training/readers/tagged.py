"""CoNLL columns: a token a line, its tag in one of the other columns, a blank line between sentences."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import BadRow
from ...network.spans import Span
from ..corpora import TaggedText
from ..schemes import BadTag, TagScheme, mixed_openings, prefix_and_label, scheme_of, spans_of
from .files import at_least_one, numbered_lines
from .layout import USUAL, Layout

log = logging.getLogger(__name__)

_DOCUMENT = "-DOCSTART-"
_MOST_COLUMNS = 4


@dataclass
class _Sentence:
    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


def read_tagged(path: Path, separator: str, layout: Layout = USUAL) -> list[TaggedText]:
    """Two to four columns, a tab or blanks between; ``-DOCSTART-`` begins a document and is no sentence.

    Args:   separator: what stands between tokens in running text, "" for Chinese and " " for English.
    Raises: BadRow with file and line; TrainingError where the file cannot be read or holds nothing.
    """
    sentences = at_least_one(path, list(_sentences(path, layout)))
    scheme = layout.tag_scheme
    if scheme == "auto":
        scheme = _told_scheme(path, [sentence.tags for sentence in sentences])
    return [_joined(path, sentence, separator, scheme) for sentence in sentences]


def _told_scheme(path: Path, tags: Sequence[Sequence[str]]) -> TagScheme:
    """bioes, or auto, the reading that BIO and IOB1 share; a file that is a mixture of these two is said to be one."""
    if scheme_of(tags) == "bioes":
        return "bioes"
    with_i, with_b = mixed_openings(tags)
    if with_i and with_b:
        log.warning(
            "%s is neither BIO nor IOB1: %s entities begin with I- and %s with B-; each is read as an entity of its "
            "own, and --tag-scheme bio names the first line that is not BIO",
            path,
            f"{with_i:,}",
            f"{with_b:,}",
        )
    return "auto"


def _sentences(path: Path, layout: Layout) -> Iterator[_Sentence]:
    sentence, width = _Sentence(), 0
    for number, line in numbered_lines(path):
        if not line.strip() or line.startswith(_DOCUMENT):
            if sentence.tokens:
                yield sentence
                sentence = _Sentence()
            continue
        columns = _columns(line)
        width = width or len(columns)
        token, tag = _token_and_tag(path, number, columns, width, layout)
        sentence.tokens.append(token)
        sentence.tags.append(tag)
        sentence.lines.append(number)
    if sentence.tokens:
        yield sentence


def _columns(line: str) -> list[str]:
    if "\t" in line:
        return [column.strip() for column in line.split("\t")]
    return re.split(r" +", line.strip(" "))


def _token_and_tag(path: Path, number: int, columns: list[str], width: int, layout: Layout) -> tuple[str, str]:
    if not 2 <= len(columns) <= _MOST_COLUMNS:
        found = f"found {len(columns)} column{'s' if len(columns) > 1 else ''}"
        raise BadRow(path, number, f"{found}, allowed are 2 to {_MOST_COLUMNS}: a row is a token, a tab and its tag")
    if len(columns) != width:
        raise BadRow(path, number, f"found {len(columns)} columns, the first row has {width}: mend the row")
    place = layout.tag_column or width
    if place > width:
        raise BadRow(path, number, f"there is no column {place} for --tag-column: the row has {width}")
    token, tag = columns[0], columns[place - 1]
    if not token:
        raise BadRow(path, number, "the token is empty")
    try:
        prefix_and_label(tag)
    except ValueError as error:
        hint = f"{error}: --tag-column names another of the {width} columns" if width > 2 else str(error)
        raise BadRow(path, number, hint) from error
    return token, tag


def _joined(path: Path, sentence: _Sentence, separator: str, scheme: TagScheme) -> TaggedText:
    try:
        spans = spans_of(sentence.tags, scheme)
    except BadTag as error:
        raise BadRow(path, sentence.lines[error.place], error.problem) from error
    starts, at = [], 0
    for token in sentence.tokens:
        starts.append(at)
        at += len(token) + len(separator)
    entities = (Span(s.label, starts[s.start], starts[s.stop - 1] + len(sentence.tokens[s.stop - 1])) for s in spans)
    return TaggedText(separator.join(sentence.tokens), tuple(entities), sentence.lines[0])
