"""The design's dependencies, read from the imports: they go one way, and `models/` does not know HTTP."""

import ast
import sys
from pathlib import Path

import pytest

import models

ROOT = Path(__file__).parent.parent
FILES = sorted(p for part in ("models", "service") for p in (ROOT / part).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Absolute names of everything that a file imports, also under TYPE_CHECKING."""
    package = path.relative_to(ROOT).with_suffix("").parts
    package = package[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            found |= {module} | {f"{module}.{name.name}" for name in node.names}
    return found


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODEL_ROOMS = (
    *("errors", "text", "recurrence", "network", "checkpoint", "runtime", "analysis", "training", "inference"),
    "batch",
)
SERVICE_ROOMS = (
    *(
        "version",
        "errors",
        "settings",
        "leaving",
        "telemetry",
        "sealing",
        "exchange",
        "figures",
        "wire",
        "pictures",
        "engine",
        "registry",
        "state",
        "routes",
    ),
    *("layers", "app", "cli", "__main__"),
)
SIBLINGS = {
    ("models.training", "models.inference"),
    ("service.wire", "service.engine"),
    ("service.pictures", "service.wire"),
}


def room(name: str) -> str:
    return ".".join(name.split(".")[:2])


@pytest.mark.parametrize("path", FILES, ids=module)
def test_a_room_imports_only_from_those_below_it(path: Path) -> None:
    """Rooms in the order of the floors; a package's own door, `models/__init__.py`, may name any."""
    floors = [*(f"models.{r}" for r in MODEL_ROOMS), *(f"service.{r}" for r in SERVICE_ROOMS)]
    own_room = room(module(path))
    if own_room in ("models", "service"):
        return
    above = {
        other
        for other in map(room, imports(path))
        if other in floors
        and (floors.index(other) > floors.index(own_room) or {(own_room, other), (other, own_room)} & SIBLINGS)
    }
    assert not above, f"{module(path)} imports from {', '.join(sorted(above))}, which stands above or beside it"


def test_every_module_has_a_floor() -> None:
    rooms = {room(module(path)) for path in FILES} - {"models", "service"}
    assert rooms == {f"models.{r}" for r in MODEL_ROOMS} | {f"service.{r}" for r in SERVICE_ROOMS}


def test_the_door_is_sorted_and_every_name_opens() -> None:
    assert sorted(models.__all__) == models.__all__
    assert all(getattr(models, name).__name__ == name for name in models.__all__)


@pytest.mark.parametrize("path", [p for p in FILES if p.is_relative_to(ROOT / "models")], ids=module)
def test_models_know_torch_and_never_http(path: Path) -> None:
    assert not {
        name for name in imports(path) if name.split(".")[0] in ("service", "fastapi", "starlette", "uvicorn", "httpx")
    }


@pytest.mark.parametrize("path", [p for p in FILES if p.is_relative_to(ROOT / "service")], ids=module)
def test_the_framework_stays_at_the_edge(path: Path) -> None:
    edge = ("app", "layers", "state", "routes", "cli.serve", "wire.problems")
    if not module(path).startswith(tuple(f"service.{name}" for name in edge)):
        assert not {name for name in imports(path) if name.split(".")[0] in ("fastapi", "starlette")}


@pytest.mark.parametrize("name", ["wire.schemas", "engine.batcher", "engine.pace", "engine.engine", "cli.probe"])
def test_what_a_client_or_the_engine_needs_knows_no_torch(name: str) -> None:
    path = ROOT / "service" / f"{name.replace('.', '/')}.py"
    assert not {n for n in imports(path) if n.split(".")[0] in ("torch", "models", "numpy")}


@pytest.mark.parametrize("path", sorted((ROOT / "client").rglob("*.py")), ids=lambda path: path.stem)
def test_the_client_needs_httpx_and_numpy_alone(path: Path) -> None:
    """pandas, xarray and matplotlib are imported by those who ask for a frame or a picture."""
    tree = ast.parse(path.read_text("utf-8"))
    top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {name.name for node in top if isinstance(node, ast.Import) for name in node.names}
    names |= {node.module or "" for node in top if isinstance(node, ast.ImportFrom) and not node.level}
    allowed = {*sys.stdlib_module_names, "httpx", "numpy"}
    assert {name.split(".")[0] for name in names} <= allowed


def test_the_service_is_written_on_the_client_in_the_command_line_alone() -> None:
    users = {room(module(path)) for path in FILES if any(n.split(".")[0] == "gatescope" for n in imports(path))}
    assert users == {"service.cli"}


def test_nothing_imports_in_a_circle() -> None:
    names = {module(path): path for path in FILES}
    arrows = {name: {n for n in imports(path) if n in names and n != name} for name, path in names.items()}

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, f"a circle: {' -> '.join((*way[way.index(name) :], name))}"
        for other in arrows[name] - done:
            walk(other, (*way, name))
        done.add(name)

    done: set[str] = set()
    for name in names:
        walk(name, ())
