"""docs/scaling/results.json -> docs/scaling.md."""

from pathlib import Path

STORED = Path("docs/scaling/results.json")
