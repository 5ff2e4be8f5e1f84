"""Texts as people type them, made from texts of a corpus: drawn anew each epoch, so no two epochs read quite the same.

Every change keeps the label of the text, and moves its entities with their characters: what is put in stands outside
of them. What the reading folds anyway (curly quotes, full-width forms) needs no augmentation.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import regex

from ..network.spans import Span
from .corpora import LabelledText, TaggedText
from .recipe import Noise

Row = LabelledText | TaggedText

# one of each group is drawn with equal chance, then one of the group
_PUT_IN = (
    ("😀", "😂", "👍", "👍🏽", "🎉", "❤️", "🇨🇳", "🙏", "😭", "🔥", "🤔", "✨"),
    ("<br />", "<br>", "<br /><br />", "<p>", "</p>", "<b>", "</b>", "<i>", "</i>", '<a href="x">', "&nbsp;", "<div>"),
    ("•", "-", "*", "·", "--", "|", "~", "►", "#", "…", "/", "_", "\\", "=", "^", "+"),
    ("http://t.co/x1", "https://www.example.org/a", "www.example.com", "@someone", "@a_b", "a.b@example.org"),
    ("★", "♪", "☀", "→", "©", "™", "\u200b", "\ufeff", "✓", "※"),
    ("!!!", "??", "...", "?!", "----", "***", "====", ":)", "……"),
)
_PAIRS = (
    *(("“", "”"), ("'", "'"), ("(", ")"), ("[", "]"), ("*", "*"), ("**", "**"), ("_", "_")),
    *(("<p>", "</p>"), ("<b>", "</b>"), ("• ", " …"), ("- ", ""), ("> ", ""), ("· ", ""), ("1. ", "")),
    *(("\ufeff", ""), ("", " 😀"), ("", " …")),
)
_SCRIPTS = (  # first code point and how many: letters in which few texts of a corpus are written
    *((0x61, 26), (0x61, 26), (0x41, 26), (0x30, 10), (0x430, 32), (0x3B1, 24)),  # Latin, digits, Cyrillic, Greek
    *((0x627, 28), (0x5D0, 27), (0x905, 50), (0xE01, 40)),  # Arabic, Hebrew, Devanagari, Thai
    *((0x3041, 80), (0xAC00, 2000), (0x6000, 15000)),  # Hiragana, Hangul, Chinese at random
)
_ENDS = ("!", "!!", "!!!!", "?!", "...", "", " 😀", " 👍", ".", "。", "！！！", "~")
_END = regex.compile(r"\s*[.!?。！？]+\s*$")
_APOSTROPHE = regex.compile(r"(?<=\p{L}) ?(n)['’](?=t\b)|(?<=\p{L}) ?['’](?=(?:s|m|d|re|ve|ll)\b)", regex.IGNORECASE)
_BEFORE_MARK = regex.compile(r" (?=[.,;:!?)%\]]|n['’]t\b|['’](?:s|m|d|re|ve|ll)\b)|(?<=[(\[$]) |(?<=(?<!\S)[#@]) ")
_LATIN_WORDS = regex.compile(r"(?<=(?<![A-Za-z0-9/_.@#-])(?:[A-Z][a-z]+)+[a-z])(?=[A-Z][a-z])")  # between them
_I = regex.compile(r"(?<!\S)i(?!\S)")
_BLANK = regex.compile(r"(?<=\S) (?=\S)")


class Edit(NamedTuple):
    """text[start:end] gives way to `put`."""

    start: int
    end: int
    put: str


def edited(row: Row, edits: Sequence[Edit]) -> Row:
    """The row after edits that do not overlap, its entities moved with their characters.

    An edit at an entity's edge stays outside of it; one across an edge is refused: ValueError.
    """
    text, entities = row.text, list(row.entities) if isinstance(row, TaggedText) else list[Span]()
    for start, end, put in sorted(edits, reverse=True):
        text = text[:start] + put + text[end:]
        for i, span in enumerate(entities):
            if start < span.start < end or start < span.stop < end:
                raise ValueError(f"the edit {start}..{end} cuts through the entity {span}")
            shift = len(put) - (end - start)
            begins = span.start + shift if end <= span.start else span.start
            ends = span.stop + shift if end <= span.stop and start < span.stop else span.stop
            entities[i] = Span(span.label, begins, ends)
    if isinstance(row, TaggedText):
        return replace(row, text=text, entities=tuple(entities))
    return replace(row, text=text)


class Augmenter:
    """Draws noisy versions of rows at the rates of a recipe's `Noise`."""

    def __init__(self, noise: Noise, language: str) -> None:
        self.noise, self.blank = noise, " " if language == "en" else ""

    def rows(self, rows: Sequence[Row], random: np.random.Generator) -> list[Row]:
        """Each row's version of this epoch; with `follows` and `lines`, tagged rows that share a text with others."""
        out = self._following([self.row(row, random) for row in rows], random)
        if not self.noise.lines:
            return out
        return [self._with_lines(row, out[int(random.integers(len(out)))], random) for row in out]

    def _following(self, rows: list[Row], random: np.random.Generator) -> list[Row]:
        """The rows, a share of them each as one text with the one to four rows that follow it in the file."""
        if not self.noise.follows:
            return rows
        out: list[Row] = []
        remaining = iter(rows)
        for row in remaining:
            if isinstance(row, TaggedText) and random.random() < self.noise.follows:
                for following in itertools.islice(remaining, int(random.integers(1, 5))):
                    assert isinstance(following, TaggedText)
                    row = _joined(row, following, self.blank)
            out.append(row)
        return out

    def row(self, row: Row, random: np.random.Generator) -> Row:
        noise, draw = self.noise, random.random
        if draw() < noise.lost_apostrophes:
            row = without_apostrophes(row)
        if draw() < noise.joined:
            row = _apart(row, [Edit(m.start(), m.end(), "") for m in _BEFORE_MARK.finditer(row.text)])
        if noise.blanks and draw() < noise.blanks:
            row = edited(row, [Edit(m.start(), m.start(), " ") for m in _LATIN_WORDS.finditer(row.text)])
        if draw() < noise.ends and (end := _END.search(row.text)) and end.start():
            row = _apart(row, [Edit(end.start(), end.end(), str(random.choice(_ENDS)))])
        if draw() < noise.put_in:
            for _ in range(int(random.integers(1, 4))):
                row = self._put_in(row, random)
        if draw() < noise.wrapped:
            left, right = _PAIRS[int(random.integers(len(_PAIRS)))]
            row = edited(row, [Edit(0, 0, left), Edit(len(row.text), len(row.text), right)])
        if draw() < noise.capitals:
            row = _capitals(row, random)
        if (case := draw()) < noise.upper + noise.lower:
            text = row.text.upper() if case < noise.upper else row.text.lower()
            row = replace(row, text=text) if len(text) == len(row.text) else row
        return row

    def _put_in(self, row: Row, random: np.random.Generator) -> Row:
        group = _PUT_IN[int(random.integers(len(_PUT_IN)))]
        what = group[int(random.integers(len(group)))]
        inner = [m.start() for m in _BLANK.finditer(row.text)] if self.blank else list(range(1, len(row.text)))
        at = int(random.choice([0, len(row.text), *inner]))
        if isinstance(row, TaggedText) and any(e.start < at < e.stop for e in row.entities):
            return row
        return edited(row, [Edit(at, at, f"{self.blank if at else ''}{what}{'' if at else self.blank}")])

    def _with_lines(self, row: Row, other: Row, random: np.random.Generator) -> Row:
        """Two texts with an empty line between, a line broken, or a list of names, one a line."""
        case = random.random() / self.noise.lines
        if not isinstance(row, TaggedText) or not isinstance(other, TaggedText) or case >= 1:
            return row
        if case < 0.4:
            return _joined(row, other, str(random.choice(["\n", "\n\n", "\r\n\r\n"])))
        if case < 0.6 and (blanks := [m.start() for m in _BLANK.finditer(row.text)]):
            at = int(random.choice(blanks))
            return edited(row, [Edit(at, at + 1, "\n")])
        return _names(row, other, str(random.choice(["\n", "\n- ", "\n• ", "\n\n"])))


def without_apostrophes(row: Row) -> Row:
    """``dont`` for ``do n't`` and for ``don't``, ``its`` for ``it 's``."""
    return _apart(row, [Edit(m.start(), m.end(), m[1] or "") for m in _APOSTROPHE.finditer(row.text)])


def _apart(row: Row, edits: Sequence[Edit]) -> Row:
    """The row with those edits that neither cut an entity nor join one to a letter beside it."""
    spans = row.entities if isinstance(row, TaggedText) else ()
    kept = [e for e in edits if not any(_harms(row.text, e, span) for span in spans)]
    return edited(row, kept) if kept else row


def _harms(text: str, edit: Edit, span: Span) -> bool:
    if edit.start < span.stop and span.start < edit.end:
        return True
    touches = span.stop == edit.start or span.start == edit.end
    return touches and text[: edit.start][-1:].isalnum() and text[edit.end :][:1].isalnum()


def nothings(count: int, random: np.random.Generator) -> list[str]:
    """Texts of which a model knows nothing: symbols, or words of letters drawn from one script."""
    out = []
    for _ in range(count):
        first, letters = _SCRIPTS[int(random.integers(len(_SCRIPTS)))]
        symbols = _PUT_IN[int(random.integers(len(_PUT_IN)))]
        words = []
        for _ in range(int(random.geometric(0.15))):
            if random.random() < 0.5:
                words.append(symbols[int(random.integers(len(symbols)))])
            else:
                places = random.integers(letters, size=int(random.integers(1, 11)))
                words.append("".join(chr(first + int(place)) for place in places))
        out.append(" ".join(words))
    return out


def _capitals(row: Row, random: np.random.Generator) -> Row:
    """The first word and ``i`` with capitals, and each name, word by word, at an even chance."""
    text = _I.sub("I", row.text[:1].upper() + row.text[1:])
    for span in row.entities if isinstance(row, TaggedText) else ():
        if random.random() < 0.5:
            text = text[: span.start] + text[span.start : span.stop].title() + text[span.stop :]
    return replace(row, text=text) if len(text) == len(row.text) else row


def _joined(row: TaggedText, other: TaggedText, between: str) -> TaggedText:
    shift = len(row.text) + len(between)
    moved = (Span(e.label, e.start + shift, e.stop + shift) for e in other.entities)
    return replace(row, text=row.text + between + other.text, entities=(*row.entities, *moved))


def _names(row: TaggedText, other: TaggedText, between: str) -> TaggedText:
    """The entities of two rows as a list, one a line, after what stands before the first."""
    parts = [_name(source, entity) for source in (row, other) for entity in source.entities]
    if len(parts) < 2:
        return row
    out = parts[0]
    for part in parts[1:]:
        out = _joined(out, part, between)
    return out


def _name(row: TaggedText, entity: Span) -> TaggedText:
    return TaggedText(row.text[entity.start : entity.stop], (Span(entity.label, 0, entity.stop - entity.start),))
