"""A virtual environment for each peer, in build/bench/, made when first needed.

Its requirements, bench/requirements/<peer>.txt, are the peer and what `models/` imports, with the same torch as ours.
"""

import os
import subprocess
import sys
from pathlib import Path

BUILD = Path("build/bench")
REQUIREMENTS = Path("bench/requirements")
_MADE = "requirements.txt"  # a copy in the environment of the requirements it was made from


class InstallFailed(Exception):
    """A peer's environment could not be made; the message names the log."""


def ensure(peer: str) -> Path:
    """The peer's Python interpreter, in an environment that matches its current requirements.

    Raises: InstallFailed.
    """
    folder, requirements = BUILD / peer, (REQUIREMENTS / f"{peer}.txt").read_text()
    python, made_from = folder / "bin" / "python", folder / _MADE
    if python.exists() and made_from.exists() and made_from.read_text() == requirements:
        return python
    BUILD.mkdir(parents=True, exist_ok=True)
    log = BUILD / f"{peer}.log"
    log.unlink(missing_ok=True)
    for step, command in _steps(peer, folder, python):
        print(f"{peer}: {step}", file=sys.stderr, flush=True)
        with log.open("a") as out:
            done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT)  # noqa: S603  # pip, by its path
            if done.returncode:
                raise InstallFailed(f"{peer} could not be installed ({step} failed): read {log} and run it again")
    made_from.write_text(requirements)
    return python


def _steps(peer: str, folder: Path, python: Path) -> list[tuple[str, list[str]]]:
    """torch is installed first and separately, as in the Makefile: its CPU build may come from an index of its own."""
    index = os.environ.get("TORCH_INDEX_URL")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    file = str(REQUIREMENTS / f"{peer}.txt")
    return [
        ("making its environment", [sys.executable, "-m", "venv", "--clear", str(folder)]),
        ("installing torch", [*pip, *(["--index-url", index] if index else []), _pinned_torch(peer)]),
        ("installing what it needs", [*pip, "-r", file]),
    ]


def _pinned_torch(peer: str) -> str:
    lines = (REQUIREMENTS / f"{peer}.txt").read_text().splitlines()
    return next(line for line in lines if line.startswith("torch=="))
