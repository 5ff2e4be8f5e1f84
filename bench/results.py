"""What was measured, on disk: each suite writes its own part, the report reads them all."""

import datetime
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from .ratios import significant

SUITES = ("kernels", "servers", "growth")
STORED = Path("docs/performance/results.json")
Results = dict[str, Any]


def read(path: Path = STORED) -> Results:
    """Nothing where nothing was measured yet."""
    found: Results = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def merge(suite: str, part: Results, path: Path = STORED) -> None:
    """Put one suite's part in the place of its last one, with the machine and the day that it ran on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = read(path) | {suite: {"machine": machine(), **rounded(part)}}
    path.write_text(json.dumps(whole, ensure_ascii=False, indent=1, sort_keys=True) + "\n", "utf-8")


def rounded(value: Any) -> Any:
    """Numbers with five significant digits, at any depth: more are noise."""
    if isinstance(value, dict):
        return {name: rounded(its) for name, its in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(its) for its in value]
    return significant(value, 5) if isinstance(value, float) else value


def machine() -> dict[str, Any]:
    """What a figure has to be read beside; no name or address of the machine."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions(*names: str) -> dict[str, str]:
    """Of Python and of those packages that are installed."""
    found = {"python": sys.version.split()[0]}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    """As Linux names it, with the family and model that tell generations of one name apart."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    facts = dict(reversed([(k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in lines) if v]))
    if "model name" not in facts:
        return platform.processor() or "unknown"
    return f"{facts['model name']}, family {facts.get('cpu family', '?')}, model {facts.get('model', '?')}"
