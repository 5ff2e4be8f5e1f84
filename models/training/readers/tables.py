"""What a CSV or TSV file is like, told from its first lines: the character between columns, its quotes, its header."""

import csv
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

from ...errors import BadRow

SUFFIXES = (".csv", ".tsv", ".tab")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')

Quoting = Literal[0, 3]


def is_table(path: Path, text: str) -> bool:
    """Whether a file is a table: it is named so, or begins with no brace or bracket, as JSON lines do."""
    return path.suffix.lower() in SUFFIXES or not text.lstrip().startswith(("{", "["))


def delimiter_of(path: Path, text: str, columns: Collection[str]) -> str:
    """The character between columns: the one at which the first line falls into the columns that are asked for."""
    if path.suffix.lower() in (".tsv", ".tab"):
        return "\t"
    first = text.lstrip("\r\n").splitlines()[0]
    for delimiter in ",;\t":
        header = next(csv.reader([first], delimiter=delimiter), [])
        if set(columns) <= {word.strip() for word in header}:
            return delimiter
    return "," if "," in first or "\t" not in first else "\t"


def quoting_of(text: str, delimiter: str) -> Quoting:
    """Double quotes are marks around fields, but in a TSV file whose quotes are part of the texts."""
    return csv.QUOTE_NONE if delimiter == "\t" and not _has_quoted_fields(text) else csv.QUOTE_MINIMAL


def places_of(path: Path, number: int, fields: Sequence[str], columns: Mapping[str, str]) -> tuple[list[int], bool]:
    """Where the columns stand in a row, from 0, and whether this first row is a header. columns: option -> column.

    Raises: BadRow where there is no such column.
    """
    header, names = [field.strip() for field in fields], list(columns.values())
    if all(name in header for name in names):
        return [header.index(name) for name in names], True
    if all(re.fullmatch(r"[1-9]\d{0,3}", name) for name in names):
        places = [int(name) - 1 for name in names]
        if max(places) >= len(fields):
            raise BadRow(path, number, f"there is no column {max(places) + 1}: the first row has {len(fields)}")
        return places, False
    option, missing = next((option, name) for option, name in columns.items() if name not in header)
    shown = ", ".join(repr(word[:40]) for word in header[:8])
    raise BadRow(
        path,
        number,
        f"there is no column {missing!r} in the header {shown}: {option} names another, or gives its number (1 is the "
        "first) where there is no header",
    )


def width_problem(found: int, width: int, delimiter: str) -> str:
    """The sentence for a row with another number of columns than the first."""
    return f"found {found} columns, the first row has {width}: a field that holds {delimiter!r} stands in double quotes"


def table_problem(error: csv.Error) -> str:
    """The sentence for what is no row of a table."""
    return f"not a row of a table ({error}): is a double quote left open or not doubled?"


def _has_quoted_fields(text: str) -> bool:
    """Whether double quotes in a TSV file are marks around fields, as spreadsheets write them, and not part of a text.

    They are part of the text where the lines have equally many columns as they stand and some field with a double
    quote is not wholly a quoted one.
    """
    rows = [line.split("\t") for line in re.split(r"\r\n|\r|\n", text) if line.strip()]
    fields = [field for row in rows for field in row if '"' in field]
    is_even = len({len(row) for row in rows}) == 1
    return bool(fields) and not (is_even and not all(_QUOTED.fullmatch(field) for field in fields))
