"""How the files of deploy/ are read."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text("utf-8"))


def documents(name: str) -> dict[str, Any]:
    """The objects of a Kubernetes file, by kind."""
    return {document["kind"]: document for document in yaml.safe_load_all((DEPLOY / name).read_text("utf-8"))}


def values(container: dict[str, Any]) -> dict[str, str]:
    """A container's environment, without what comes from a secret."""
    return {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}
