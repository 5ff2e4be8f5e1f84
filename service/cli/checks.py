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
    """Make the folder if it is not there, and try to write into it.

    Raises: OptionError.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
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
