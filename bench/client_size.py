"""What installing the client takes, in an empty environment, and how long importing it: `python -m bench client`."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .ratios import Spread
from .results import Results, versions

_IMPORT = "import time; began = time.perf_counter(); import gatescope; print(time.perf_counter() - began)"


def run(client: Path, rounds: int) -> Results:
    """Raises: CalledProcessError where the client cannot be installed."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder, "environment")
        _printed(Path(sys.executable), "-m", "venv", str(environment))
        python = environment / "bin/python"
        before = _bytes(environment)
        _printed(python, "-m", "pip", "install", "-q", "--no-compile", str(client))
        added = _bytes(environment) - before
        imports = [float(_printed(python, "-c", _IMPORT)) for _ in range(rounds + 1)][1:]  # the first one compiles
    return {"megabytes": added / 1e6, "import_s": Spread.from_values(imports).stored(), "versions": versions()}


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _printed(python: Path, *arguments: str) -> str:
    compiles = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([str(python), *arguments], check=True, stdout=subprocess.PIPE, text=True, env=compiles)  # noqa: S603
    return done.stdout
