"""What every file of rows is to a batch: blocks that are read apart from each other, rows that may be bad."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

BLOCK_ROWS = 4096  # of a block at most, unless another number is asked for: a kill costs each process one block
BLOCK_BYTES = 4 << 20  # a block ends after so many bytes of text, whatever its rows


@dataclass(frozen=True)
class Block:
    """Some consecutive rows of a file. start, stop: of its bytes, or of its rows where the file is Parquet.

    line: number of the first line, from 1 (Parquet: of the first row); rows: how many there are, bad ones included.
    """

    index: int
    start: int
    stop: int
    line: int
    rows: int


class UserColumns(Protocol):
    """What stands in the rows of a block already."""

    def names(self) -> Sequence[str]: ...

    def objects(self) -> list[bytes]:
        """Each row as a JSON object; ``{}`` of a row that is none."""

    def table(self) -> tuple[Any, dict[str, str]]:
        """The rows as a pyarrow table, and what stands in its columns where that was found row by row."""


@dataclass(frozen=True)
class Rows:
    """The rows of one block. problems: for each row that has no text, by its place in the block, the reason.

    lines: where each row begins in the file; texts: "" where there is a problem.
    """

    lines: list[int]
    texts: list[str]
    problems: dict[int, str]
    columns: UserColumns


class Source(Protocol):
    """One file; it travels between processes."""

    @property
    def path(self) -> Path: ...

    def blocks(self) -> Iterator[Block]:
        """All of the file's rows, in order: the same blocks each time."""

    def rows(self, block: Block) -> Rows: ...
