"""Columns for Parquet. pyarrow is an extra, imported only by who reads or writes Parquet."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from ..errors import BatchError

# int: one that a float64 holds too; long: a larger one of 64 bits; json: each value as JSON text
ValueKind = Literal["null", "bool", "int", "long", "float", "string", "json"]
_KINDS: dict[type, ValueKind] = {type(None): "null", bool: "bool", float: "float", str: "string"}


def require() -> Any:
    """pyarrow.

    Raises: BatchError, naming the extra that brings it.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise BatchError(
            "Parquet needs pyarrow, which is not installed: `pip install 'gatescope-server[parquet]'` brings it, and "
            "JSON lines and CSV need nothing"
        ) from error
    return pyarrow


def common_kind(first: str, second: str) -> str:
    """The kind of a column that holds values of both: ``json``, which holds any, where no other does."""
    if first == second or second == "null":
        return first
    if first == "null":
        return second
    return {("float", "int"): "float", ("int", "long"): "long"}.get((min(first, second), max(first, second)), "json")


@dataclass(frozen=True)
class Values:
    """One key's values in JSON rows, None where a row lacks it."""

    values: Sequence[Any]

    @cached_property
    def kind(self) -> str:
        kind = "null"
        for value in self.values:
            kind = common_kind(kind, _kind(value))
        return kind


def table_of(columns: dict[str, Values], rows: int) -> Any:
    """A table of JSON values; rows: how many there are, also where no column is."""
    pyarrow = require()
    arrays = [
        pyarrow.array(
            [_as_json(v) for v in c.values] if c.kind == "json" else c.values,
            type_of(c.kind),
        )
        for c in columns.values()
    ]
    if not arrays:
        return pyarrow.table({"": pyarrow.nulls(rows)}).select([])
    return pyarrow.table(arrays, names=list(columns))


def strings_table(columns: dict[str, list[str | None]]) -> Any:
    pyarrow = require()
    return pyarrow.table({name: pyarrow.array(values, pyarrow.string()) for name, values in columns.items()})


def type_of(kind: str) -> Any:
    pyarrow = require()
    types = {
        "null": pyarrow.null(),
        "bool": pyarrow.bool_(),
        "int": pyarrow.int64(),
        "long": pyarrow.int64(),
        "float": pyarrow.float64(),
        "string": pyarrow.string(),
        "json": pyarrow.string(),
    }
    return types[kind]


def converted(array: Any, found: str, wanted: str) -> Any:
    """A column of one kind as one of another that `common_kind` gives."""
    if found == wanted:
        return array
    pyarrow = require()
    if wanted == "json" and found != "null":
        return pyarrow.array([_as_json(value) for value in array.to_pylist()], pyarrow.string())
    return array.cast(type_of(wanted))


def _as_json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _kind(value: Any) -> ValueKind:
    if type(value) is int:
        return "int" if -(2**53) <= value <= 2**53 else "long" if -(2**63) <= value < 2**63 else "json"
    return _KINDS.get(type(value), "json")
