"""The stored measurements: each suite writes its own part, the report reads them all."""

import datetime
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from .ratios import significant

SUITES = ("kernels", "servers", "growth", "card", "streaming", "forgeries", "replicas", "client")
STORED = Path("docs/performance/results.json")
Results = dict[str, Any]


def read(path: Path = STORED) -> Results:
    """The stored results; empty where nothing was measured yet."""
    stored: Results = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return stored


def merge(suite: str, part: Results, path: Path = STORED) -> None:
    """Replaces one suite's part of the stored results, and adds the machine and the date."""
    path.parent.mkdir(parents=True, exist_ok=True)
    merged = read(path) | {suite: {"machine": machine(), **rounded(part)}}
    path.write_text(json.dumps(merged, ensure_ascii=False, indent=1, sort_keys=True) + "\n", "utf-8")


def rounded(value: Any) -> Any:
    """Numbers rounded to five significant digits, at any depth: more are noise."""
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return significant(value, 5) if isinstance(value, float) else value


def machine() -> dict[str, Any]:
    """The machine that the figures belong to, without its name or address."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions(*names: str) -> dict[str, str]:
    """The versions of Python and of those packages that are installed."""
    installed = {"python": sys.version.split()[0]}
    for name in names:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def _cpu() -> str:
    """The CPU's name in Linux, with family and model, which distinguish generations of the same name."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    facts = dict(reversed([(k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in lines) if v]))
    if "model name" not in facts:
        return platform.processor() or "unknown"
    return f"{facts['model name']}, family {facts.get('cpu family', '?')}, model {facts.get('model', '?')}"
