"""Names of models -> folders below the weights folder, and whether a folder has changed."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from models.checkpoint.checkpoint import MANIFEST

from ..errors import LoadRefused

Fingerprint = tuple[tuple[str, int, int, int], ...]  # of each file: name, bytes, time of change in ns, inode
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # as in a manifest


def folders(weights_dir: Path) -> Iterator[Path]:
    """`weights_dir` itself where it holds one model, else its subfolders sorted by name; hidden ones are skipped."""
    if (weights_dir / MANIFEST).exists():
        yield weights_dir
    elif weights_dir.is_dir():
        yield from sorted(p for p in weights_dir.iterdir() if p.is_dir() and not p.name.startswith("."))


def folder_of(weights_dir: Path, name: str) -> Path:
    """The folder of this name directly below `weights_dir`; `weights_dir` itself where it holds one model.

    A name comes from a client: it is compared with the folders that are there, letter by letter, and never read as a
    path. A link that leads out of `weights_dir` is refused.

    Raises: LoadRefused.
    """
    if not _NAME.fullmatch(name):
        raise LoadRefused(name, "a name is up to 64 letters, digits, dots, dashes, underscores: send a folder's name")
    if (weights_dir / MANIFEST).exists():
        return weights_dir
    for folder in folders(weights_dir):
        if folder.name == name:
            if not folder.resolve().is_relative_to(weights_dir.resolve()):
                raise LoadRefused(name, "its folder is a link out of the weights folder: put the folder there itself")
            return folder
    raise LoadRefused(name, "the weights folder has no folder of this name: put it there first")


def fingerprint(folder: Path) -> Fingerprint:
    """Equal as long as no file of the folder is written, replaced, added or removed; empty for one that is gone."""
    try:
        found = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    except OSError:  # it is being exchanged
        return ()
    files = [(name, status) for name, status in found if stat.S_ISREG(status.st_mode)]
    return tuple((name, status.st_size, status.st_mtime_ns, status.st_ino) for name, status in files)
