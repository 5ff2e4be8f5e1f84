"""Class: a model's folder brings code, and loading the model runs it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from .conftest import NAME

_CODE = "import os\nos.mkdir({mark!r})\n"
_FILES = (
    "__init__.py",
    "model.py",
    "modeling.py",
    "handler.py",
    "manifest.py",
    "setup.py",
    "sitecustomize.py",
    "conftest.py",
)


def test_no_code_in_a_models_folder_runs(
    folder: Path, tmp_path: Path, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "executed"
    for name in _FILES:
        for place in (folder, folder / NAME):
            (place / name).write_text(_CODE.format(mark=str(mark)), "utf-8")
    monkeypatch.chdir(folder / NAME)
    with serve(weights_dir=folder, model_control="explicit") as client:
        assert client.post(f"/v2/repository/models/{NAME}/load").status_code == 200
        assert client.post(f"/v1/models/{NAME}/predict", json={"inputs": "好"}).status_code == 200
    assert not mark.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("auto_map", {"AutoModel": "model.Model"}),
        ("handler", "handler.py:handle"),
        ("trust_remote_code", True),
        ("tokenizer", "model.Tokenizer"),
        ("cell", "model.Cell"),
        ("requirements", ["evil"]),
    ],
)
def test_a_manifest_names_no_code(folder: Path, serve: Any, field: str, value: Any) -> None:
    """What is no field of the format, or no value that it lists, makes the model broken, and nothing else."""
    shutil.copytree(folder / NAME, folder / "bad")
    manifest = json.loads((folder / "bad" / "manifest.json").read_text("utf-8")) | {"name": "bad", field: value}
    (folder / "bad" / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with serve(weights_dir=folder) as client:
        (broken,) = client.get("/health/ready").json()["broken"]
    assert broken["name"] == "bad"
    assert field in broken["reason"]


@pytest.mark.parametrize(
    "parameters", [{"config": "{}"}, {"file:1/model.py": "aW1wb3J0IG9z"}, {"config": {"backend": "python"}}]
)
def test_no_request_to_load_brings_a_file_or_a_configuration(folder: Path, serve: Any, parameters: Any) -> None:
    before = sorted(path.name for path in folder.rglob("*"))
    with serve(weights_dir=folder, model_control="explicit") as client:
        refused = client.post(f"/v2/repository/models/{NAME}/load", json={"parameters": parameters})
    assert refused.status_code == 400
    assert "is not a field" in refused.json()["error"]
    assert sorted(path.name for path in folder.rglob("*")) == before
