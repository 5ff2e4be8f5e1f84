"""Every route of the app, and a weights folder that may be changed."""

import shutil
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Route

NAME = "tiny-zh-lstm"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "QUERY")


def paths(routes: list[BaseRoute]) -> set[str]:
    """Every path of the app, those of included routers too, with its parameters filled in."""
    found = set()
    for route in routes:
        if isinstance(route, APIRoute | Route):
            found.add(route.path)
        inner = getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", None)
        if inner:
            found |= paths(inner)
    values = {"name": NAME, "version": "1", "layer": "0", "direction": "forward", "unit": "0"}
    for key, value in values.items():
        found = {path.replace(f"{{{key}}}", value) for path in found}
    return found


@pytest.fixture
def folder(weights_dir: Path, tmp_path: Path) -> Path:
    """A weights folder with one good model, NAME."""
    weights = tmp_path / "weights"
    shutil.copytree(weights_dir / NAME, weights / NAME)
    return weights
