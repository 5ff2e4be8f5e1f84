"""What a run is and which of its blocks are done, as files in a folder beside the output.

A block is done once its record is there, and the record comes after its part, which is written under another name,
brought to the disk and renamed: neither a kill nor a power cut leaves half of one. The folder's lock is held by
a run and its workers: those of a killed run end their block first, and the next run waits for them.
"""

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import BatchError

MANIFEST = "run.json"
_PATIENCE_S = 20  # for the workers of a killed run, which end with the block that they are at


@dataclass(frozen=True)
class BlockReport:
    """A block that is done. columns: the kind of each of the user's columns, where it was found row by row."""

    index: int
    rows: int
    errors: int
    bytes: int
    columns: dict[str, str] = field(default_factory=dict)


def write_whole(path: Path, write: Callable[[BinaryIO], object], beside: Path | None = None) -> int:
    """The file whole or not at all, its bytes on the disk before it has its name; returns how many they are.

    beside: the folder where it is written first.
    """
    aside = (beside or path.parent) / f".{path.name}.{os.getpid()}"
    with aside.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    aside.replace(path)
    return size


def keep_name(path: Path) -> None:
    """Bring the name of a file to the disk too."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@dataclass(frozen=True)
class Parts:
    """The files of a run: the part of each block and its record."""

    folder: Path
    suffix: str

    def part(self, index: int) -> Path:
        return self.folder / f"{index:08}{self.suffix}"

    def record(self, index: int) -> Path:
        return self.folder / f"{index:08}.json"

    def commit(self, report: BlockReport) -> None:
        """From now on the block is done; its part is there already.

        Not brought to the disk: a record that a power cut takes costs a block's work, and half of one is no record.
        """
        record = self.record(report.index)
        aside = record.with_name(f".{record.name}.{os.getpid()}")
        aside.write_text(json.dumps(asdict(report)), "utf-8")
        aside.replace(record)

    def report(self, index: int) -> BlockReport | None:
        """The record of a block that is done; None where it is not, or where its part has not the bytes recorded."""
        try:
            report = BlockReport(**json.loads(self.record(index).read_bytes()))
            return report if self.part(index).stat().st_size == report.bytes else None
        except (OSError, ValueError, TypeError):
            return None


@contextlib.contextmanager
def opened(folder: Path, facts: dict[str, Any]) -> Iterator[None]:
    """The folder of a run: made, or that of the same run begun earlier. One process has it at a time.

    facts: what makes two runs the same one, by name, JSON.
    Raises: BatchError where it holds a run with other facts, or another process works in it.
    """
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("wb") as lock:
        _lock(lock, folder)
        for left in folder.glob(".*.[0-9]*"):  # what a killed run had not renamed yet
            left.unlink()
        _check(folder, facts)
        yield


def _lock(lock: BinaryIO, folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise BatchError(f"another run writes to {folder}: wait until it ends, or name another OUT") from error
        time.sleep(0.05)


def begun(folder: Path) -> bool:
    """Whether the folder holds a run."""
    return (folder / MANIFEST).exists()


def remove(folder: Path) -> None:
    """Removes the folder of a run that is whole. Killed at it, the same run goes on, and another is still refused."""
    for path in removal(folder):
        path.unlink()
    shutil.rmtree(folder)


def removal(folder: Path) -> list[Path]:
    """Its files in the order they go: the records of blocks before their parts, what the run was last."""
    records = sorted(folder.glob("[0-9]*.json"))
    return [*records, *sorted(set(folder.glob("[0-9]*")) - set(records)), folder / MANIFEST]


def _check(folder: Path, facts: dict[str, Any]) -> None:
    path = folder / MANIFEST
    if not begun(folder):
        write_whole(path, lambda file: file.write(json.dumps(facts, ensure_ascii=False, indent=1).encode()))
        return
    try:
        earlier: dict[str, Any] = json.loads(path.read_bytes())
        changed = [name for name in facts if earlier.get(name) != facts[name]]
    except (ValueError, AttributeError) as error:
        raise BatchError(f"{path} is not readable: remove the folder {folder} to start anew") from error
    if changed:
        raise BatchError(
            f"{folder} holds a run that was begun with another {' and another '.join(changed)}: give what it was begun "
            "with to go on, or remove the folder to start anew"
        )
