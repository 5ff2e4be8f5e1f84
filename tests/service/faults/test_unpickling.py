"""Class: bytes from outside are unpickled, which runs whatever code they name."""

import ast
import hashlib
import json
import os
import pickle
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from .conftest import NAME, paths

ROOT = Path(__file__).parents[3]
FILES = sorted(p for part in ("models", "service") for p in (ROOT / part).rglob("*.py"))
_EVENTS: list[str] = []
_LISTENING = [False]


class Mark:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def _listen(event: str, arguments: Any) -> None:
    if not (_LISTENING[0] and event in ("pickle.find_class", "marshal.loads")):
        return
    if not sys._getframe(1).f_code.co_filename.startswith("<frozen importlib"):  # a library that is imported meanwhile
        _EVENTS.append(f"{event} {arguments}"[:200])


@pytest.fixture
def unpickled() -> Iterator[list[str]]:
    """What was unpickled in this process, by Python's own audit events: whoever does it, also a library."""
    if not hasattr(sys, "_gatescope_listens"):
        sys.addaudithook(_listen)  # for good: Python has no way to take one out
        sys._gatescope_listens = True  # type: ignore[attr-defined]
    _EVENTS.clear()
    _LISTENING[0] = True
    yield _EVENTS
    _LISTENING[0] = False


def test_the_listener_hears_an_unpickling(unpickled: list[str]) -> None:
    pickle.loads(pickle.dumps(np.float32(1)))
    assert unpickled


def test_no_route_unpickles_a_body_whatever_type_it_claims(
    folder: Path, tmp_path: Path, serve: Any, unpickled: list[str]
) -> None:
    from service.app import create_app
    from service.settings import Settings

    every = paths(create_app(Settings(weights_dir=folder, device="cpu")).routes)
    mark = tmp_path / "executed"
    bodies = [
        pickle.dumps(Mark(mark)),
        b"PK\x03\x04" + pickle.dumps(Mark(mark)),
        b"\x93NUMPY" + pickle.dumps(Mark(mark)),
    ]
    kinds = ("application/vnd.bentoml+pickle", "application/octet-stream", "application/x-npz", "application/json", "")
    with serve(weights_dir=folder, model_control="explicit") as client:
        for path in sorted(every - {f"/v2/repository/models/{NAME}/unload"}):
            for body in bodies:
                for kind in kinds:
                    headers = {"content-type": kind, "payload-container": "NdarrayContainer", "buffer-lengths": "8"}
                    answer = client.post(path, content=body, headers=headers)
                    assert 400 <= answer.status_code < 500 or path == "/v2/repository/index", (path, kind)
    assert not mark.exists()
    assert unpickled == []
    assert len(every) > 30


def test_no_file_of_a_model_is_unpickled(folder: Path, tmp_path: Path, serve: Any, unpickled: list[str]) -> None:
    """Each file of a checkpoint in turn is a pickle, with its true digest in the manifest."""
    mark = tmp_path / "executed"
    files = sorted(path.name for path in (folder / NAME).iterdir())
    for n, name in enumerate(files):
        copy = folder / f"bad-{n}"
        shutil.copytree(folder / NAME, copy)
        (copy / name).write_bytes(pickle.dumps(Mark(mark)))
        if name == "manifest.json":
            continue
        manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
        manifest["sha256"][name] = hashlib.sha256((copy / name).read_bytes()).hexdigest()
        manifest["name"] = copy.name
        (copy / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    for name in ("pytorch_model.bin", "model.pt", "model.pkl", "data.pkl", "weights.npz"):  # what others look for
        (folder / NAME / name).write_bytes(pickle.dumps(Mark(mark)))
    with serve(weights_dir=folder, model_control="explicit") as client:
        assert client.get("/health/ready").json()["models"] == [NAME]
        assert len(client.get("/health/ready").json()["broken"]) == len(files)
        for n in range(len(files)):
            assert client.post(f"/v2/repository/models/bad-{n}/load").status_code == 400
        assert client.post(f"/v2/repository/models/{NAME}/load").status_code == 200
    assert not mark.exists()
    assert unpickled == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_names_a_way_to_unpickle_or_to_run_text(path: Path) -> None:
    """`torch.load` and `np.load` take a pickle unless they are told not to: where they stand they are told."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {getattr(node, "module", None) or "", *(name.name for name in node.names)}
            assert not names & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "runpy"}
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            options = {option.arg: ast.unparse(option.value) for option in node.keywords}
            assert called not in ("eval", "exec", "__import__", "compile")
            if called == "torch.load":
                assert options.get("weights_only") == "True"
            if called in ("np.load", "numpy.load"):
                assert options.get("allow_pickle", "False") == "False"


def test_an_answer_of_arrays_is_read_without_pickle(server: httpx.Client) -> None:
    import io

    ask = {"inputs": "我想", "tensors": ["hidden_state"]}
    answer = server.post(f"/v1/models/{NAME}/inspect", json=ask, headers={"accept": "application/x-npz"})
    arrays = np.load(io.BytesIO(answer.content), allow_pickle=False)
    assert arrays["r0.hidden_state"].dtype == np.float32
