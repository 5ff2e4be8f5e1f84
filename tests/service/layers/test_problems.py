"""No answer tells what stands inside: no path, no module, no exception, no trace."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.inference.predictor import Predictor

PREDICT = "/v1/models/tiny-zh-lstm/predict"
INSIDE = re.compile(
    r"/tmp|/home|/root|/usr|site-packages|\.py\b|Traceback|Error\(|Exception|0x[0-9a-f]{6}|models\.\w+\."
)


@pytest.mark.parametrize("path", [PREDICT, "/v1/models/tiny-zh-lstm/attribute"], ids=["hot path", "framework"])
def test_a_bug_is_500_that_tells_nothing_and_the_log_tells_all(
    serve: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("in /root/secret/file.py")

    with serve() as client:
        monkeypatch.setattr(Predictor, "run", broken)
        monkeypatch.setattr(Predictor, "prepare", broken)
        answer = client.post(path, json={"inputs": "x"}, headers={"x-request-id": "find-me"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "find-me"
    assert not INSIDE.search(answer.text)
    assert "secret" not in answer.text
    assert any(r.exc_info and "RuntimeError" in r.getMessage() for r in caplog.records)


def test_the_reasons_of_broken_models_name_no_path(weights_dir: Path, tmp_path: Path, serve: Any) -> None:
    def copy(name: str) -> Path:
        shutil.copytree(weights_dir / "tiny-zh-lstm", tmp_path / name)
        return tmp_path / name

    copy("good")
    (copy("no-weights") / "weights.safetensors").unlink()
    (copy("no-manifest") / "manifest.json").unlink()
    (copy("empty-weights") / "weights.safetensors").write_bytes(b"")
    unreadable = copy("folder-for-file") / "labels.txt"
    unreadable.unlink()
    unreadable.mkdir()
    manifest = copy("not-json") / "manifest.json"
    manifest.write_text("{")
    wrong = copy("wrong") / "manifest.json"
    wrong.write_text(json.dumps(json.loads(wrong.read_text()) | {"units": 10**9}))
    with serve(weights_dir=tmp_path) as client:
        broken = client.get("/health/ready").json()["broken"]
        assert len(broken) == 6
        for text in (client.get("/health/ready").text, client.get("/v1/models").text):
            assert not INSIDE.search(text), INSIDE.search(text)
        for one in broken:
            assert not INSIDE.search(client.get(f"/v1/models/{one['name']}").text)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", PREDICT, {"inputs": {"x": object.__name__}}),
        ("POST", PREDICT, [1]),
        ("POST", "/v1/models/..%2f..%2fetc%2fpasswd/predict", {"inputs": "x"}),
        ("GET", "/v1/models/%00", None),
        ("GET", "/v1/models/" + "a" * 5000, None),
        ("POST", "/v1/models/tiny-zh-lstm/units/x/forward/9/top", {"inputs": "x"}),
        ("POST", "/v1/models/tiny-zh-lstm/units/0/forward/" + "9" * 300 + "/top", {"inputs": "x"}),
    ],
)
def test_no_error_tells_of_the_inside(server: httpx.Client, method: str, path: str, body: Any) -> None:
    answer = server.request(method, path, json=body)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert not INSIDE.search(answer.text), answer.text
