"""One block's part of the output, and the parts joined in the order of the input: JSON lines or Parquet."""

import itertools
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

import numpy as np
import orjson

from ..inference.prediction import Prediction
from .arrow import common_kind, converted, require, type_of
from .columns import ERROR, ERROR_LINE, Column, Kind
from .journal import BlockReport, Parts
from .sources import Rows

_GROUP_ROWS, _GROUP_BYTES = 1 << 16, 16 << 20  # of a row group of the joined Parquet file


@dataclass(frozen=True)
class Answered:
    """The rows of one block with their predictions, None where there is a problem."""

    rows: Rows
    predictions: Sequence[Prediction | None]
    problems: dict[int, str]


@dataclass(frozen=True)
class Naming:
    """What the new columns are called, and how JSON shows reductions. prefix: stands before every new name."""

    prefix: str = ""
    decimals: int = 6

    def names(self, columns: Sequence[Column]) -> frozenset[str]:
        return frozenset(self.prefix + name for name in (*(c.name for c in columns), ERROR, ERROR_LINE))


class Output(Protocol):
    @property
    def suffix(self) -> str: ...

    def check(self) -> None:
        """Raises: BatchError where something that it needs is not installed."""

    def write(self, file: BinaryIO, answered: Answered, columns: Sequence[Column], naming: Naming) -> dict[str, str]:
        """Write a part; returns the kinds of the user's columns, where they were found row by row."""

    def join(self, file: BinaryIO, parts: Parts, reports: Sequence[BlockReport]) -> None: ...


class JsonLinesOutput:
    """The user's object, then the answers; of a row with a problem `ERROR` and `ERROR_LINE`."""

    suffix = ".jsonl"

    def check(self) -> None:
        pass

    def write(self, file: BinaryIO, answered: Answered, columns: Sequence[Column], naming: Naming) -> dict[str, str]:
        objects = answered.rows.columns.objects()
        for n, (fields, prediction) in enumerate(zip(objects, answered.predictions, strict=True)):
            if prediction is None:
                added: dict[str, Any] = {ERROR: answered.problems[n], ERROR_LINE: answered.rows.lines[n]}
            else:
                added = {column.name: _shown(column, prediction, naming.decimals) for column in columns}
            new = orjson.dumps(
                {naming.prefix + name: value for name, value in added.items()}, option=orjson.OPT_SERIALIZE_NUMPY
            )
            old = fields[:-1].rstrip()
            file.write(old + (b"" if old == b"{" else b",") + new[1:] + b"\n")
        return {}

    def join(self, file: BinaryIO, parts: Parts, reports: Sequence[BlockReport]) -> None:
        for report in reports:
            with parts.part(report.index).open("rb") as part:
                shutil.copyfileobj(part, file, 1 << 20)


class ParquetOutput:
    """The user's columns with their types, then the answers, then `ERROR` and `ERROR_LINE`, null in most rows."""

    suffix = ".parquet"

    def check(self) -> None:
        require()

    def write(self, file: BinaryIO, answered: Answered, columns: Sequence[Column], naming: Naming) -> dict[str, str]:
        pyarrow = require()
        table, kinds = answered.rows.columns.table()
        added: list[tuple[str, Any]] = []
        for column in columns:
            values = [None if p is None else _listed(column.value(p)) for p in answered.predictions]
            added.append((column.name, pyarrow.array(values, _arrow_type(column.kind))))
        count = range(len(answered.predictions))
        added.append((ERROR, pyarrow.array([answered.problems.get(n) for n in count], pyarrow.string())))
        error_lines = [answered.rows.lines[n] if n in answered.problems else None for n in count]
        added.append((ERROR_LINE, pyarrow.array(error_lines, pyarrow.int64())))
        for name, values in added:
            table = table.append_column(naming.prefix + name, values)
        _writer(file, table.schema).write_table(table)
        return kinds

    def join(self, file: BinaryIO, parts: Parts, reports: Sequence[BlockReport]) -> None:
        pyarrow = require()
        kinds: dict[str, str] = {}
        for report in reports:
            for name, kind in report.columns.items():
                kinds[name] = common_kind(kinds.get(name, "null"), kind)
        tables = (_unified(parts, report, kinds) for report in reports)
        first = next(tables)
        with _writer(file, first.schema) as writer:
            for group in _grouped(itertools.chain([first], tables)):
                writer.write_table(pyarrow.concat_tables(group), row_group_size=_GROUP_ROWS)


OUTPUTS: dict[str, Output] = {output.suffix: output for output in (JsonLinesOutput(), ParquetOutput())}


def _shown(column: Column, prediction: Prediction, decimals: int) -> Any:
    value = column.value(prediction)
    return np.ascontiguousarray(np.round(value, decimals)) if column.rounded else value


def _listed(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _arrow_type(kind: Kind) -> Any:
    pyarrow = require()
    text, number, count = pyarrow.string(), pyarrow.float64(), pyarrow.int64()
    label = [("label", text), ("score", number)]
    entity = [("label", text), ("text", text), ("start", count), ("end", count), ("score", number)]
    types = {
        "text": text,
        "count": count,
        "number": number,
        "labels": pyarrow.list_(pyarrow.struct(label)),
        "entities": pyarrow.list_(pyarrow.struct(entity)),
        "values": pyarrow.list_(pyarrow.list_(pyarrow.list_(number))),
    }
    return types[kind]


def _writer(file: BinaryIO, schema: Any) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.ParquetWriter(file, schema)


def _unified(parts: Parts, report: BlockReport, kinds: dict[str, str]) -> Any:
    """A part with the columns and the types that all parts have together: kinds of the user's, then the answers'."""
    import pyarrow.parquet

    table = pyarrow.parquet.ParquetFile(parts.part(report.index)).read(use_threads=False)
    arrays: dict[str, Any] = {}
    for name, kind in kinds.items():
        if name in report.columns:
            arrays[name] = converted(table.column(name), report.columns[name], kind)
        else:
            arrays[name] = pyarrow.nulls(table.num_rows, type_of(kind))
    return pyarrow.table(arrays | {name: table.column(name) for name in table.column_names if name not in arrays})


def _grouped(tables: Iterator[Any]) -> Iterator[list[Any]]:
    group: list[Any] = []
    rows = size = 0
    for table in tables:
        group.append(table)
        rows, size = rows + table.num_rows, size + table.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield group
            group, rows, size = [], 0, 0
    if group:
        yield group
