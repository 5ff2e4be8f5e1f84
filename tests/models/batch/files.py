"""Files of the same rows in every format, and slow readers of what comes out."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

Row = dict[str, Any]


def json_lines(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def table(path: Path, rows: Sequence[Row]) -> Path:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(out.getvalue(), "utf-8", newline="")
    return path


def parquet(path: Path, rows: Sequence[Row], row_group_size: int = 50) -> Path:
    pyarrow = pyarrow_or_skip()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path, row_group_size=row_group_size)
    return path


WRITERS: dict[str, Callable[[Path, Sequence[Row]], Path]] = {
    ".jsonl": json_lines,
    ".csv": table,
    ".tsv": table,
    ".parquet": parquet,
}


def read(path: Path) -> list[Row]:
    """The rows of an output, all at once."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    rows: list[Row] = pyarrow_or_skip().parquet.read_table(path).to_pylist()
    return rows


def pyarrow_or_skip() -> Any:
    pytest.importorskip("pyarrow.parquet", reason="pyarrow, of the extra parquet, is not installed")
    import pyarrow.parquet

    return pyarrow
