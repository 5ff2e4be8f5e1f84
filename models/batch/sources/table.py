"""CSV and TSV: rows with a header, or columns that are named by number. A quoted field may hold line breaks."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from ...errors import BatchError
from ...training.readers.files import encoding_problem
from ...training.readers.tables import Quoting, delimiter_of, places_of, quoting_of, table_problem, width_problem
from ..arrow import strings_table
from .lines import LONG, first_byte, lines
from .source import BLOCK_BYTES, BLOCK_ROWS, Block, Rows

_OPTION = "--text-column"


@dataclass(frozen=True)
class TableColumns:
    """values: the fields of each row, None of a row that cannot be read."""

    header: tuple[str, ...]
    values: list[list[str] | None] = field(default_factory=list)

    def names(self) -> Sequence[str]:
        return self.header

    def objects(self) -> list[bytes]:
        return [orjson.dumps(dict(zip(self.header, row or (), strict=bool(row)))) for row in self.values]

    def table(self) -> tuple[Any, dict[str, str]]:
        columns = {
            name: [None if row is None else row[place] for row in self.values] for place, name in enumerate(self.header)
        }
        return strings_table(columns), {}


@dataclass(frozen=True)
class _Record:
    """One row: where it begins and ends in the file, the number of its first line and of the next row's."""

    start: int
    stop: int
    line: int
    next_line: int
    fields: list[str]
    problem: str = ""


class _Feed:
    """Lines for csv.reader, which takes one only when its row is not complete; counts what it took."""

    def __init__(self, file: BinaryIO, path: Path, start: int, stop: int | None, line: int) -> None:
        self.position, self.line, self.problem = start, line, ""
        self._lines, self._path = lines(file, start, stop), path

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            if line.content is None:
                raise csv.Error(LONG)
            self.position, self.line = line.stop, self.line + 1
            try:
                text = line.content.decode("utf-8")
            except UnicodeDecodeError as error:
                self.problem = encoding_problem(line.content, self._path, error)
                text = line.content.decode("utf-8", "replace")
            yield text


@dataclass(frozen=True)
class Table:
    """header: the names of all columns; place: of the text's, from 0; start, line: where the first row begins."""

    path: Path
    delimiter: str
    quoting: Quoting
    header: tuple[str, ...] = ()
    place: int = 0
    block_rows: int = BLOCK_ROWS
    start: int = 0
    line: int = 1

    def blocks(self) -> Iterator[Block]:
        index, start, first, rows = 0, self.start, self.line, 0
        record = None
        for record in self.records(self.start, None, self.line):
            if rows and (rows == self.block_rows or record.start - start >= BLOCK_BYTES):
                yield Block(index, start, record.start, first, rows)
                index, start, first, rows = index + 1, record.start, record.line, 0
            rows += 1
        if record:
            yield Block(index, start, record.stop, first, rows)

    def rows(self, block: Block) -> Rows:
        columns = TableColumns(self.header)
        rows = Rows([], [], {}, columns)
        for record in self.records(block.start, block.stop, block.line):
            problem, found = record.problem, len(record.fields)
            if not problem and found != len(self.header):
                problem = width_problem(found, len(self.header), self.delimiter)
            if problem:
                rows.problems[len(rows.texts)] = problem
            rows.lines.append(record.line)
            rows.texts.append("" if problem else record.fields[self.place])
            columns.values.append(None if problem else record.fields)
        return rows

    def records(self, start: int, stop: int | None, line: int) -> Iterator[_Record]:
        """The rows between two bytes. After a line at which no row begins the next line is tried."""
        with self.path.open("rb") as file:
            while True:
                feed = _Feed(file, self.path, start, stop, line)
                reader = csv.reader(iter(feed), delimiter=self.delimiter, quoting=self.quoting, strict=True)
                try:
                    for fields in reader:
                        if any(value.strip() for value in fields):
                            yield _Record(start, feed.position, line, feed.line, fields, feed.problem)
                        start, line, feed.problem = feed.position, feed.line, ""
                    return
                except csv.Error as error:
                    end = next(lines(file, start)).stop
                    yield _Record(start, end, line, line + 1, [], table_problem(error))
                    start, line = end, line + 1


def open_table(path: Path, text_column: str, head: str, block_rows: int = BLOCK_ROWS) -> Table:
    """The reader of a table that begins with the lines of `head`.

    Raises: BadRow where the header lacks the column; BatchError where it names one twice or the file has no row.
    """
    delimiter = delimiter_of(path, head, [text_column])
    table = Table(path, delimiter, quoting_of(head, delimiter), block_rows=block_rows, start=first_byte(path))
    first = next(table.records(table.start, None, 1), None)
    if first is None or first.problem:
        raise BatchError(f"{path}:{first.line}: {first.problem}" if first else f"{path} holds no row")
    (place,), is_header = places_of(path, first.line, first.fields, {_OPTION: text_column})
    if not is_header:
        header = tuple(str(number) for number in range(1, len(first.fields) + 1))
        return replace(table, header=header, place=place)
    header = tuple(name.strip() for name in first.fields)
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise BatchError(f"{path}:{first.line}: the header names {twice[0]!r} twice: rename one of the columns")
    return replace(table, header=header, place=place, start=first.stop, line=first.next_line)
