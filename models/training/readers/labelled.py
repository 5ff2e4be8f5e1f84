"""Rows of a text and its label: JSON lines, CSV and TSV, told apart by the file's name and its first character."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...errors import BadRow
from ..corpora import LabelledText
from .files import at_least_one, read_text
from .layout import USUAL, Layout
from .tables import Quoting, delimiter_of, is_table, places_of, quoting_of, table_problem, width_problem

ARRAY = "found a JSON array: write one object a line (`jq -c '.[]'` does it)"


def read_labelled(path: Path, layout: Layout = USUAL) -> list[LabelledText]:
    """A file is a table if it is named .csv or .tsv or begins with no brace or bracket; all others are JSON lines.

    Raises: BadRow with file and line; TrainingError where the file cannot be read or holds nothing.
    """
    text = read_text(path)
    is_rows_of_table = is_table(path, text) and text.strip()
    rows = _table_rows(path, text, layout) if is_rows_of_table else _json_rows(path, text, layout)
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
            raise BadRow(path, number, ARRAY)
        if not isinstance(row, dict):
            raise BadRow(path, number, "found no object: each line is an object with text and label")
        for column, option in ((layout.text_column, "--text-column"), (layout.label_column, "--label-column")):
            if column not in row:
                raise BadRow(path, number, missing_key(row, column, option))
        yield _row(path, number, row[layout.text_column], row[layout.label_column])


def _table_rows(path: Path, text: str, layout: Layout) -> Iterator[LabelledText]:
    columns = {"--text-column": layout.text_column, "--label-column": layout.label_column}
    delimiter = delimiter_of(path, text, columns.values())
    places: list[int] | None = None
    width = 0
    for number, fields in _fields(path, text, delimiter, quoting_of(text, delimiter)):
        if places is None:
            width = len(fields)
            places, is_header = places_of(path, number, fields, columns)
            if is_header:
                continue
        if len(fields) != width:
            raise BadRow(path, number, width_problem(len(fields), width, delimiter))
        yield _row(path, number, *(fields[place] for place in places))


def _fields(path: Path, text: str, delimiter: str, quoting: Quoting) -> Iterator[tuple[int, list[str]]]:
    """The fields of each row, with the line that the row begins at; a quoted field may hold line breaks."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    first = 1
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield first, fields
            first = reader.line_num + 1
    except csv.Error as error:
        raise BadRow(path, first, table_problem(error)) from error


def missing_key(row: Mapping[str, object], column: str, option: str) -> str:
    """The sentence for a JSON object that lacks a column."""
    keys = ", ".join(map(repr, list(row)[:8])) or "nothing"
    return f"there is no {column!r} among {keys}: {option} names another key"


def text_problem(text: object) -> str:
    """The sentence for a value that is no text; "" for a text."""
    return "" if isinstance(text, str) else f"the text is {_kind(text)}: it is a string"


def _row(path: Path, number: int, text: object, label: object) -> LabelledText:
    """Raises: BadRow where text or label is not one that can be trained on."""
    if not isinstance(text, str):
        raise BadRow(path, number, text_problem(text))
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
