"""Bytes of a file -> lines, with bounded memory whatever the file."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ...training.readers.files import BOM

LONGEST_LINE = 16 << 20  # bytes; no model takes so long a text
LONG = f"a line of more than {LONGEST_LINE:,} bytes: is a line break missing?"
_SAMPLE = 1 << 20


class Line(NamedTuple):
    """start, stop: in bytes; content: None of a line that is longer than `LONGEST_LINE`."""

    start: int
    stop: int
    content: bytes | None


def sample(path: Path) -> bytes:
    """The first lines of a file without its byte-order mark, at most a mebibyte."""
    with path.open("rb") as file:
        head = file.read(_SAMPLE)
        if file.read(1) and b"\n" in head:
            head = head[: head.rindex(b"\n") + 1]
    return head.removeprefix(BOM)


def first_byte(path: Path) -> int:
    """Where the first line begins: after the byte-order mark, if there is one."""
    with path.open("rb") as file:
        return len(BOM) if file.read(len(BOM)) == BOM else 0


def lines(file: BinaryIO, start: int, stop: int | None = None) -> Iterator[Line]:
    """The lines from byte `start` up to byte `stop`, None: to the end, with their line breaks."""
    file.seek(start)
    while stop is None or start < stop:
        content = file.readline(LONGEST_LINE)
        if not content:
            return
        end, last = start + len(content), content
        while not last.endswith(b"\n") and (last := file.readline(LONGEST_LINE)):
            end += len(last)
        yield Line(start, end, content if end == start + len(content) else None)
        start = end
