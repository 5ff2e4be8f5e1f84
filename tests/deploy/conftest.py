"""Where the files of deploy/ are, and how they are read."""

from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"


def documents(name: str) -> dict[str, Any]:
    """The objects of a Kubernetes file, by kind."""
    return {document["kind"]: document for document in yaml.safe_load_all((DEPLOY / name).read_text("utf-8"))}
