"""JSON lines. A row goes out as it came in, byte for byte, with the answers behind."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ...training.readers.files import encoding_problem
from ...training.readers.labelled import ARRAY, missing_key, text_problem
from ..arrow import Values, table_of
from .lines import LONG, first_byte, lines
from .source import BLOCK_BYTES, BLOCK_ROWS, Block, Rows

_LONG_NUMBER = re.compile(rb"\d{19}")  # orjson reads an integer of more than 64 bits as a float, json as it is


@dataclass(frozen=True)
class JsonColumns:
    """raw: each row's object as it stands in the file; fields: the same, parsed."""

    raw: list[bytes]
    fields: list[dict[str, Any]]

    def names(self) -> Sequence[str]:
        return list(dict.fromkeys(name for row in self.fields for name in row))

    def objects(self) -> list[bytes]:
        return self.raw

    def table(self) -> tuple[Any, dict[str, str]]:
        columns = {name: Values([row.get(name) for row in self.fields]) for name in self.names()}
        return table_of(columns, len(self.fields)), {name: values.kind for name, values in columns.items()}


@dataclass(frozen=True)
class JsonLines:
    path: Path
    text_column: str
    reserved: frozenset[str]
    block_rows: int = BLOCK_ROWS

    def blocks(self) -> Iterator[Block]:
        start = stop = first_byte(self.path)
        index, number, first, rows = 0, 0, 1, 0
        with self.path.open("rb") as file:
            for line in lines(file, start):
                if rows and (rows == self.block_rows or line.start - start >= BLOCK_BYTES):
                    yield Block(index, start, stop, first, rows)
                    index, start, first, rows = index + 1, line.start, number + 1, 0
                number, stop = number + 1, line.stop
                rows += line.content is None or not line.content.isspace()
        if rows:
            yield Block(index, start, stop, first, rows)

    def rows(self, block: Block) -> Rows:
        columns = JsonColumns([], [])
        rows = Rows([], [], {}, columns)
        with self.path.open("rb") as file:
            for number, line in enumerate(lines(file, block.start, block.stop), block.line):
                if line.content is not None and line.content.isspace():
                    continue
                fields, problem = self._fields(line.content)
                rows.lines.append(number)
                columns.raw.append(line.content.strip() if line.content and fields else b"{}")
                columns.fields.append(fields)
                text = fields.get(self.text_column)
                if problem := problem or self._problem(fields):
                    rows.problems[len(rows.texts)] = problem
                rows.texts.append(text if isinstance(text, str) else "")
        return rows

    def _fields(self, content: bytes | None) -> tuple[dict[str, Any], str]:
        """The row's object, and why there is none."""
        if content is None:
            return {}, LONG
        try:
            found = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            return {}, self._unreadable(content, error)
        if _LONG_NUMBER.search(content):
            found = json.loads(content)
        if isinstance(found, dict):
            if taken := sorted(self.reserved & found.keys()):
                return {}, f"the row has {taken[0]!r}, which an answer would overwrite: --prefix renames the answers"
            return found, ""
        return {}, ARRAY if isinstance(found, list) else "found no object: each line is an object with a text"

    def _unreadable(self, content: bytes, error: orjson.JSONDecodeError) -> str:
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as encoding:
            return encoding_problem(content, self.path, encoding)
        return f"not JSON ({error.msg}): each line is an object with a text"

    def _problem(self, fields: dict[str, Any]) -> str:
        if self.text_column not in fields:
            return missing_key(fields, self.text_column, "--text-column")
        return text_problem(fields[self.text_column])
