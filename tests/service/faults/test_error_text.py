"""Class: the text of an error leaks paths, modules, exceptions or what stands in files."""

import shutil
from pathlib import Path
from typing import Any

from service.app import create_app
from service.settings import Settings

from ..layers.test_problems import INSIDE
from .conftest import METHODS, NAME, paths

_BODIES = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'{"inputs": null}',
    b'{"inputs": {"__class__": "x"}}',
    b'{"inputs": "x", "tensors": [[]], "select": 1, "target": {}, "models": 1, "input": []}',
    b"\xff\xfe\x00",
    b'{"inputs": "' + b"\\ud800" + b'"}',
    b'{"inputs": "x", "inspect": ' + b"[" * 40 + b"]" * 40 + b"}",
)


def test_no_route_tells_of_the_inside_whatever_it_is_sent(folder: Path, serve: Any) -> None:
    every = paths(create_app(Settings(weights_dir=folder, device="cpu")).routes)
    with serve(weights_dir=folder, model_control="explicit") as client:
        for path in sorted(every):
            if path == "/docs" or path.startswith(("/docs/", "/openapi")):
                continue
            for method in METHODS:
                for body in _BODIES:
                    answer = client.request(method, path, content=body, headers={"content-type": "application/json"})
                    assert answer.status_code < 500, (method, path, body, answer.text)
                    if answer.status_code >= 400:
                        assert not INSIDE.search(answer.text), (method, path, body, answer.text)
                        assert str(folder) not in answer.text


def test_a_model_that_cannot_be_loaded_tells_its_caller_no_path(folder: Path, serve: Any) -> None:
    cases = {"no-weights": "weights.safetensors", "no-manifest": "manifest.json", "no-labels": "labels.txt"}
    for name, file in cases.items():
        shutil.copytree(folder / NAME, folder / name)
        (folder / name / file).unlink()
    shutil.copytree(folder / NAME, folder / "secret")
    (folder / "secret" / "manifest.json").write_text("root:x:0:0:secret-content")
    with serve(weights_dir=folder, model_control="explicit") as client:
        for name in (*cases, "secret"):
            refused = client.post(f"/v2/repository/models/{name}/load")
            assert refused.status_code == 400
            assert not INSIDE.search(refused.text), refused.text
            assert str(folder) not in refused.text
            assert "secret-content" not in refused.text
        text = client.post("/v2/repository/index").text
        assert not INSIDE.search(text)
