"""Broken weights never stop the good ones, are named with their reason, and are never executed."""

import hashlib
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.checkpoint.checkpoint import load_checkpoint
from models.errors import WeightMismatch
from models.inference.inspection import Inspection
from models.inference.routing import RoutedPredictor
from service.errors import StartupError
from service.registry.placing import make_predictor
from service.registry.startup import choose_device
from service.settings import Settings

from ...card import Card


class Payload:
    """A pickle that would leave a mark if anything ever loaded it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = json.loads(path.read_text("utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), "utf-8")


def break_all(folder: Path, good: Path, mark: Path) -> dict[str, str]:
    """Copies of a good model, each broken in its own way; name -> a word that its reason must hold."""
    weights, manifest = "weights.safetensors", "manifest.json"

    def copy(name: str) -> Path:
        shutil.copytree(good, folder / name)
        rewrite(folder / name / manifest, lambda m: m.update(name=name))
        return folder / name

    (copy("no-weights") / weights).unlink()
    (copy("no-manifest") / manifest).unlink()
    (copy("no-vocabulary") / "vocabulary.txt").unlink()
    cut = copy("truncated") / weights
    cut.write_bytes(cut.read_bytes()[:-100])
    rewrite(copy("wrong-digest") / manifest, lambda m: m["sha256"].update({weights: "0" * 64}))
    rewrite(copy("wrong-shape") / manifest, lambda m: m.update(units=m["units"] + 1))
    rewrite(copy("wrong-cell") / manifest, lambda m: m.update(cell="gru"))
    rewrite(copy("escaping") / manifest, lambda m: m.update(labels="../../../etc/passwd"))
    (copy("not-json") / manifest).write_text("{", "utf-8")
    disguised = copy("pickle") / weights
    disguised.write_bytes(pickle.dumps(Payload(mark)))
    digest = hashlib.sha256(disguised.read_bytes()).hexdigest()
    rewrite(folder / "pickle" / manifest, lambda m: m["sha256"].update({weights: digest}))
    return {
        "no-weights": weights,
        "no-manifest": manifest,
        "no-vocabulary": "vocabulary.txt",
        "truncated": "sha256",
        "wrong-digest": "sha256",
        "wrong-shape": "shape",
        "wrong-cell": "cell",
        "escaping": "plain file name",
        "not-json": "JSON",
        "pickle": "safetensors",
    }


def test_the_server_starts_with_the_good_models_and_says_which_is_broken_and_why(
    weights_dir: Path, tmp_path: Path, serve: Any
) -> None:
    mark, folder = tmp_path / "executed", tmp_path / "weights"
    shutil.copytree(weights_dir / "tiny-zh-lstm", folder / "good")
    want = break_all(folder, weights_dir / "tiny-zh-lstm", mark)
    with serve(weights_dir=folder) as client:
        ready = client.get("/health/ready")
        assert ready.status_code == 200
        assert ready.json()["models"] == ["tiny-zh-lstm"]
        reasons = {b["name"]: b["reason"] for b in ready.json()["broken"]}
        assert set(reasons) == set(want)
        for name, word in want.items():
            assert word in reasons[name], (name, reasons[name])
            asked = client.post(f"/v1/models/{name}/predict", json={"inputs": "x"})
            assert asked.status_code == 404
            assert reasons[name] in asked.json()["detail"]
        assert client.get("/v1/models").json()["broken"] == ready.json()["broken"]
        assert client.post("/v1/models/tiny-zh-lstm/predict", json={"inputs": "x"}).status_code == 200
    assert not mark.exists()


def test_without_any_good_model_the_server_lives_and_is_not_ready(tmp_path: Path, serve: Any) -> None:
    (tmp_path / "empty-model").mkdir()
    with serve(weights_dir=tmp_path, allow_empty=True) as client:
        assert client.get("/health/live").status_code == 200
        ready = client.get("/health/ready")
        assert ready.status_code == 503
        assert ready.json()["ready"] is False
        assert ready.json()["broken"][0]["name"] == "empty-model"
        assert ready.headers["retry-after"] == "1"


def test_one_models_folder_is_served_alone(weights_dir: Path, serve: Any) -> None:
    with serve(weights_dir=weights_dir / "tiny-zh-rnn") as client:
        listed = client.get("/v1/models").json()["models"]
        assert [(m["name"], m["default"]) for m in listed] == [("tiny-zh-rnn", True)]


def test_two_folders_of_one_name_are_not_silently_one(weights_dir: Path, tmp_path: Path, serve: Any) -> None:
    for name in ("a", "b"):
        shutil.copytree(weights_dir / "tiny-zh-rnn", tmp_path / name)
    with serve(weights_dir=tmp_path) as client:
        broken = client.get("/health/ready").json()["broken"]
        assert [b["name"] for b in broken] == ["b"]
        assert "tiny-zh-rnn" in broken[0]["reason"]


def test_the_default_is_the_one_set_and_else_the_first(weights_dir: Path, serve: Any, server: httpx.Client) -> None:
    names = [m["name"] for m in server.get("/v1/models").json()["models"] if m["default"]]
    assert names == [server.get("/health/ready").json()["models"][0]]
    with serve(default_model="tiny-zh-rnn") as client:
        assert [m["name"] for m in client.get("/v1/models").json()["models"] if m["default"]] == ["tiny-zh-rnn"]
        assert client.get("/info").json()["default_model"] == "tiny-zh-rnn"


def test_cuda_without_a_card_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(StartupError, match="GATESCOPE_DEVICE is cuda"):
        choose_device("cuda")
    assert choose_device("auto").type == "cpu"


def rename(key: str) -> str:
    return key.replace("weight_hh", "recurrent_kernel")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda tensors: {rename(key): value for key, value in tensors.items()},
            "it lacks layer0.forward.weight_hh and it has layer0.forward.recurrent_kernel, which",
        ),
        (lambda tensors: {f"module.{key}": value for key, value in tensors.items()}, "every key begins with 'module.'"),
        (lambda tensors: {f"net.rnn.{key}": value for key, value in tensors.items()}, "begins with 'net.rnn.'"),
        (
            lambda tensors: tensors | {"extra": tensors["head.bias"]},
            "it has extra, which the manifest has no place for",
        ),
        (
            lambda tensors: {"head.bias": tensors["head.bias"]},
            "it lacks embedding.bigram, embedding.token, head.weight",
        ),
        (lambda tensors: tensors | {f"x{n}": tensors["head.bias"] for n in range(99)}, "and 91 more, which"),
    ],
    ids=["renamed", "module", "nested", "extra", "missing", "many"],
)
def test_missing_and_unknown_tensors_are_both_named(
    weights_dir: Path, tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any]], says: str
) -> None:
    folder = tmp_path / "tiny-zh-lstm"
    shutil.copytree(weights_dir / folder.name, folder)
    weights = folder / "weights.safetensors"
    save_file({key: value.clone() for key, value in change(load_file(weights)).items()}, weights)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    rewrite(folder / "manifest.json", lambda m: m["sha256"].update({weights.name: digest}))
    with pytest.raises(WeightMismatch, match=re.escape(says)):
        load_checkpoint(folder)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_auto_routes_between_the_cpu_and_the_card_and_cuda_forces_the_card(weights_dir: Path, device: str) -> None:
    with Card() as card:
        checkpoint = load_checkpoint(weights_dir / "tiny-zh-lstm")
        predictor = make_predictor(checkpoint, Settings(device=device), card.device)
        assert isinstance(predictor, RoutedPredictor) == (device == "auto")
        assert predictor.device == (torch.device("cpu") if device == "auto" else card.device)
        inside = predictor.predict(["我想吃汉堡"] * 3, Inspection())[0].inside
        assert inside
        assert inside.certificate.device in (("cpu", "lazy") if device == "auto" else ("lazy",))
        assert inside.certificate.recurrence_max_abs_error < 1e-5
