"""What all workers of one server follow: a private folder of small files, which every worker looks at.

``wanted.json`` counts the changes and lists the models that were unloaded. Each worker holds a lock on a file of its
own as long as it lives, and writes there which change it has reached and what it could not load. Files over signals:
a worker that starts, or has been replaced, reads the same.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

_WANTED, _LOCK = "wanted.json", "lock"


@dataclass(frozen=True)
class Wanted:
    """The change that was asked for last, counted from 0, and all models that were unloaded by name."""

    change: int = 0
    unloaded: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Report:
    """The change that one worker has reached, and why it could not load a model."""

    change: int = -1
    failures: Mapping[str, str] = field(default_factory=dict)


class Board:
    """One process's view of the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own: int | None = None

    def join(self) -> None:
        """From now on others wait for this process."""
        self._own = os.open(self._worker_file(), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._own, fcntl.LOCK_EX)

    def leave(self) -> None:
        if self._own is not None:
            os.close(self._own)
            self._own = None

    def wanted(self) -> Wanted:
        try:
            found = json.loads((self.folder / _WANTED).read_text("utf-8"))
        except FileNotFoundError:
            return Wanted()
        return Wanted(found["change"], frozenset(found["unloaded"]))

    def ask(self, load: str | None = None, unload: str | None = None) -> Wanted:
        """Count a change: a model loaded or unloaded, or neither, which means that folders are to be read anew."""
        with self._locked():
            before = self.wanted()
            unloaded = before.unloaded - {load} | ({unload} if unload else set())
            after = Wanted(before.change + 1, frozenset(unloaded))
            self._write(_WANTED, {"change": after.change, "unloaded": sorted(after.unloaded)})
        return after

    def report(self, report: Report) -> None:
        """Tell the others which change this process has reached."""
        self._write(f"report-{os.getpid()}.json", asdict(report))

    def reports(self) -> list[Report]:
        """Of all workers that live; what dead ones left is removed."""
        found = []
        for path in self.folder.glob("worker-*"):
            name = path.name.replace("worker", "report") + ".json"
            if _is_alive(path):
                found.append(self._read_report(name))
            else:
                path.unlink(missing_ok=True)
                (self.folder / name).unlink(missing_ok=True)
        return found

    def _read_report(self, name: str) -> Report:
        try:
            return Report(**json.loads((self.folder / name).read_text("utf-8")))
        except FileNotFoundError:
            return Report()

    def _worker_file(self) -> Path:
        return self.folder / f"worker-{os.getpid()}"

    def _write(self, name: str, content: object) -> None:
        new = self.folder / f".{name}-{os.getpid()}"
        new.write_text(json.dumps(content), "utf-8")
        os.replace(new, self.folder / name)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _is_alive(worker_file: Path) -> bool:
    """Whether a process holds the lock on its file."""
    try:
        found = os.open(worker_file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(found, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(found)
    return False
