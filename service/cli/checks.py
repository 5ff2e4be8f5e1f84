"""What train and evaluate make sure of before the work begins: the device is there, and results can be written."""

import tempfile
from pathlib import Path

import torch

from models.errors import OptionError


def device(setting: str) -> torch.device:
    """auto takes a CUDA device where there is one.

    Raises: OptionError where cuda was asked for and there is none.
    """
    has_cuda = torch.cuda.is_available()
    if setting == "cuda" and not has_cuda:
        raise OptionError("--device cuda: torch finds no CUDA device on this machine: use --device cpu or auto")
    return torch.device("cuda" if setting != "cpu" and has_cuda else "cpu")


def writable_folder(path: Path, option: str) -> None:
    """Try to write into the folder, or where it is not there into the nearest one above; nothing is left behind.

    Raises: OptionError.
    """
    try:
        with tempfile.TemporaryFile(dir=next(place for place in (path, *path.absolute().parents) if place.exists())):
            pass
    except OSError as error:
        raise OptionError(f"{option} {path} cannot be written to ({error.strerror}): give another folder") from error


def writable_file(path: Path, option: str, suffix: str) -> None:
    """An older file stays as it is.

    Raises: OptionError where the name has another suffix or the file cannot be written.
    """
    if path.suffix.lower() != suffix:
        raise OptionError(f"{option} writes {suffix}: {path} has another ending, give it {suffix}")
    try:
        is_new = not path.exists()
        with path.open("ab"):
            pass
        if is_new:
            path.unlink()
    except OSError as error:
        raise OptionError(f"{option} {path} cannot be written ({error.strerror}): give another file") from error
