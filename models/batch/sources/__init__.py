"""Files of rows that have a text: JSON lines, CSV and TSV, Parquet."""

from pathlib import Path

from ...errors import BatchError
from ...training.readers.files import UTF16, is_utf16
from ...training.readers.tables import is_table
from .json_lines import JsonLines
from .lines import sample
from .parquet import MAGIC, open_parquet
from .source import BLOCK_ROWS, Block, Rows, Source
from .table import open_table

__all__ = ["BLOCK_ROWS", "Block", "Rows", "Source", "open_source"]


def open_source(path: Path, text_column: str, reserved: frozenset[str], block_rows: int = BLOCK_ROWS) -> Source:
    """The file's reader, told by its name and its first bytes. reserved: names that no column of the file may have.

    Raises: BatchError where the file cannot be read, holds no row, has a reserved column, or where none of the rows
    of its first block can be read.
    """
    try:
        head = sample(path)
    except OSError as error:
        raise BatchError(f"{path} cannot be read: {error.strerror}") from error
    if is_utf16(head):
        raise BatchError(f"{path}: {UTF16}")
    if head.startswith(MAGIC):
        source: Source = open_parquet(path, text_column, block_rows)
    elif not head.strip():
        raise BatchError(f"{path} holds no row")
    elif is_table(path, text := head.decode("utf-8", "replace")):
        source = open_table(path, text_column, text, block_rows)
    else:
        source = JsonLines(path, text_column, reserved, block_rows)
    _check(source, reserved)
    return source


def _check(source: Source, reserved: frozenset[str]) -> None:
    """Raises: BatchError, by the rows of the first block."""
    block = next(iter(source.blocks()), None)
    if block is None:
        raise BatchError(f"{source.path} holds no row")
    rows = source.rows(block)
    if taken := sorted(reserved & set(rows.columns.names())):
        raise BatchError(
            f"{source.path} has a column {taken[0]!r}, which an answer would overwrite: --prefix gives the new columns "
            "other names"
        )
    if len(rows.problems) == len(rows.lines):
        which = "its only row" if len(rows.lines) == 1 else f"none of its first {len(rows.lines):,} rows"
        first = f"{source.path}:{rows.lines[0]}: {rows.problems[0]}"
        raise BatchError(f"{first}; {which} can be read" if len(rows.lines) > 1 else first)
