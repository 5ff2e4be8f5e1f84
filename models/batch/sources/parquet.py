"""Parquet, read by pyarrow: a block is a run of rows within a row group, and a row goes out with its own types."""

import base64
import datetime
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from ...errors import BatchError
from ...training.readers.labelled import text_problem
from ..arrow import require
from .source import BLOCK_ROWS, Block, Rows

MAGIC = b"PAR1"


@dataclass(frozen=True)
class ArrowColumns:
    arrow_table: Any

    def names(self) -> Sequence[str]:
        names: list[str] = self.arrow_table.column_names
        return names

    def objects(self) -> list[bytes]:
        return [
            orjson.dumps(row, default=_spelled, option=orjson.OPT_PASSTHROUGH_DATETIME)
            for row in self.arrow_table.to_pylist()
        ]

    def table(self) -> tuple[Any, dict[str, str]]:
        return self.arrow_table, {}


@dataclass
class _Cursor:
    """Batches of one row group, read on from where the last block ended: a group is never wholly in memory."""

    file: Any
    block_rows: int
    group: int = -1
    next_row: int = 0  # of the group
    batches: Iterator[Any] = field(default_factory=lambda: iter(()))

    def rows(self, group: int, first: int, count: int) -> Any:
        if group != self.group or first < self.next_row:
            self.group, self.next_row = group, 0
            self.batches = self.file.iter_batches(self.block_rows, row_groups=[group], use_threads=False)
        while True:
            batch = next(self.batches)
            self.next_row += batch.num_rows
            if self.next_row > first:
                assert (self.next_row - batch.num_rows, batch.num_rows) == (first, count)
                return require().Table.from_batches([batch])


@dataclass(frozen=True)
class ParquetRows:
    path: Path
    text_column: str
    block_rows: int = BLOCK_ROWS

    def blocks(self) -> Iterator[Block]:
        start = index = 0
        for rows in self._group_sizes:
            for first in range(0, rows, self.block_rows):
                stop = start + min(first + self.block_rows, rows)
                yield Block(index, start + first, stop, start + first + 1, stop - start - first)
                index += 1
            start += rows

    def rows(self, block: Block) -> Rows:
        group, first = 0, block.start
        while first >= self._group_sizes[group]:
            first -= self._group_sizes[group]
            group += 1
        table = self._cursor.rows(group, first, block.rows)
        texts = table.column(self.text_column).to_pylist()
        problems = {n: problem for n, text in enumerate(texts) if (problem := text_problem(text))}
        lines = list(range(block.line, block.line + block.rows))
        return Rows(lines, [text or "" for text in texts], problems, ArrowColumns(table))

    @cached_property
    def _cursor(self) -> _Cursor:
        import pyarrow.parquet

        return _Cursor(pyarrow.parquet.ParquetFile(self.path, pre_buffer=False), self.block_rows)

    @cached_property
    def _group_sizes(self) -> list[int]:
        metadata = self._cursor.file.metadata
        return [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]

    def __getstate__(self) -> dict[str, Any]:
        """Without the open file: a process opens its own."""
        return {"path": self.path, "text_column": self.text_column, "block_rows": self.block_rows}


def open_parquet(path: Path, text_column: str, block_rows: int = BLOCK_ROWS) -> ParquetRows:
    """Raises: BatchError where it is no Parquet file or has no text in that column."""
    pyarrow = require()
    source = ParquetRows(path, text_column, block_rows)
    try:
        schema = source._cursor.file.schema_arrow
    except (pyarrow.ArrowException, OSError) as error:
        raise BatchError(f"{path} is not a whole Parquet file: write it anew") from error
    shown = ", ".join(map(repr, schema.names[:8]))
    if twice := sorted({name for name in schema.names if schema.names.count(name) > 1}):
        raise BatchError(f"{path} names the column {twice[0]!r} twice: rename one of the two")
    if text_column not in schema.names:
        raise BatchError(f"{path} has no column {text_column!r} among {shown}: --text-column names another")
    kind = schema.field(text_column).type
    value = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    if not (pyarrow.types.is_string(value) or pyarrow.types.is_large_string(value)):
        raise BatchError(f"{path}: the column {text_column!r} holds {kind}: a text is a string")
    return source


def _spelled(value: Any) -> Any:
    """What JSON has no word for: times in ISO 8601, decimals as they are written, bytes in base64."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal | uuid.UUID):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise BatchError(f"a column holds {type(value).__name__}, which JSON lines cannot hold: write to .parquet instead")
