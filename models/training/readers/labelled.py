"""Rows of a text and its label: JSON lines, CSV and TSV, told apart by the file's name and its first character."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from ...errors import BadRow
from ..corpora import LabelledText
from .files import at_least_one, read_text
from .layout import USUAL, Layout

_TABLES = (".csv", ".tsv", ".tab")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def read_labelled(path: Path, layout: Layout = USUAL) -> list[LabelledText]:
    """A file is a table if it is named .csv or .tsv or begins with no brace or bracket; all others are JSON lines.

    Raises: BadRow with file and line; TrainingError where the file cannot be read or holds nothing.
    """
    text = read_text(path)
    is_table = path.suffix.lower() in _TABLES or not text.lstrip().startswith(("{", "["))
    rows = _table_rows(path, text, layout) if is_table and text.strip() else _json_rows(path, text, layout)
    return at_least_one(path, list(rows))


def _json_rows(path: Path, text: str, layout: Layout) -> Iterator[LabelledText]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            why = getattr(error, "msg", "nested too deep, or a number too long")
            raise BadRow(path, number, f"not JSON ({why}): each line is an object with text and label") from error
        if isinstance(row, list):
            raise BadRow(path, number, "found a JSON array: write one object a line (`jq -c '.[]'` does it)")
        if not isinstance(row, dict):
            raise BadRow(path, number, "found no object: each line is an object with text and label")
        for column, option in ((layout.text_column, "--text-column"), (layout.label_column, "--label-column")):
            if column not in row:
                keys = ", ".join(map(repr, list(row)[:8])) or "nothing"
                raise BadRow(path, number, f"there is no {column!r} among {keys}: {option} names another key")
        yield _row(path, number, row[layout.text_column], row[layout.label_column])


def _table_rows(path: Path, text: str, layout: Layout) -> Iterator[LabelledText]:
    delimiter = _delimiter(path, text, layout)
    is_plain = delimiter == "\t" and not _has_quoted_fields(text)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if is_plain else csv.QUOTE_MINIMAL
    places: tuple[int, int] | None = None
    width = 0
    for number, fields in _fields(path, text, delimiter, quoting):
        if places is None:
            width = len(fields)
            places, is_header = _places(path, number, fields, layout)
            if is_header:
                continue
        if len(fields) != width:
            hint = f"a field that holds {delimiter!r} stands in double quotes"
            raise BadRow(path, number, f"found {len(fields)} columns, the first row has {width}: {hint}")
        yield _row(path, number, *(fields[place] for place in places))


def _fields(path: Path, text: str, delimiter: str, quoting: Literal[0, 3]) -> Iterator[tuple[int, list[str]]]:
    """The fields of each row, with the line that the row begins at; a quoted field may hold line breaks."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    first = 1
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield first, fields
            first = reader.line_num + 1
    except csv.Error as error:
        raise BadRow(
            path, first, f"not a row of a table ({error}): is a double quote left open or not doubled?"
        ) from error


def _delimiter(path: Path, text: str, layout: Layout) -> str:
    """The character between columns: the one at which the first line falls into the columns that the layout names."""
    if path.suffix.lower() in (".tsv", ".tab"):
        return "\t"
    first = text.lstrip("\r\n").splitlines()[0]
    for delimiter in ",;\t":
        header = next(csv.reader([first], delimiter=delimiter), [])
        if {layout.text_column, layout.label_column} <= {word.strip() for word in header}:
            return delimiter
    return "," if "," in first or "\t" not in first else "\t"


def _has_quoted_fields(text: str) -> bool:
    """Whether double quotes in a TSV file are marks around fields, as spreadsheets write them, and not part of a text.

    They are part of the text where the lines have equally many columns as they stand and some field with a double
    quote is not wholly a quoted one.
    """
    rows = [line.split("\t") for line in re.split(r"\r\n|\r|\n", text) if line.strip()]
    fields = [field for row in rows for field in row if '"' in field]
    is_even = len({len(row) for row in rows}) == 1
    return bool(fields) and not (is_even and not all(_QUOTED.fullmatch(field) for field in fields))


def _places(path: Path, number: int, fields: list[str], layout: Layout) -> tuple[tuple[int, int], bool]:
    """Where text and label stand in a row, from 0, and whether this first row is a header."""
    header = [field.strip() for field in fields]
    named = (layout.text_column, layout.label_column)
    if all(name in header for name in named):
        return (header.index(named[0]), header.index(named[1])), True
    if all(re.fullmatch(r"[1-9]\d{0,3}", name) for name in named):
        text, label = (int(name) - 1 for name in named)
        if max(text, label) >= len(fields):
            raise BadRow(path, number, f"there is no column {max(text, label) + 1}: the first row has {len(fields)}")
        return (text, label), False
    missing = named[0] if named[0] not in header else named[1]
    option = "--text-column" if missing == named[0] else "--label-column"
    shown = ", ".join(repr(word[:40]) for word in header[:8])
    raise BadRow(
        path,
        number,
        f"there is no column {missing!r} in the header {shown}: {option} names another, or gives its number (1 is the "
        "first) where there is no header",
    )


def _row(path: Path, number: int, text: object, label: object) -> LabelledText:
    """Raises: BadRow where text or label is not one that can be trained on."""
    if not isinstance(text, str):
        raise BadRow(path, number, f"the text is {_kind(text)}: it is a string")
    if isinstance(label, bool) or not isinstance(label, str | int):
        raise BadRow(path, number, f"the label is {_kind(label)}: it is a string or an integer")
    label = str(label).strip()
    if not text.strip() or not label:
        raise BadRow(path, number, "text or label is empty: remove the row or fill it")
    if len(label.splitlines()) > 1:
        raise BadRow(path, number, "the label has a line break: labels are stored one a line")
    if any("\ud800" <= c <= "\udfff" for c in text + label):
        raise BadRow(path, number, "found a lone surrogate, which is no character: repair the text")
    return LabelledText(text, label, number)


def _kind(value: object) -> str:
    kinds = {
        type(None): "null",
        bool: "true or false",
        int: "a number",
        float: "a number with a fraction",
        list: "a list",
    }
    return kinds.get(type(value), "an object")
