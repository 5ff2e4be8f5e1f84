"""A folder of models that tests may change, and versions of one model whose exact answers are known."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from models.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from models.inference.predictor import Predictor
from tests.conftest import TINY, make_checkpoint

NAME = "tiny-zh-lstm"
PREDICT = f"/v1/models/{NAME}/predict"
TEXTS = ["我想吃汉堡", "酒店不错，服务很好。", "服务很差！" * 20]
Put = Callable[[int], None]


def save_version(folder: Path, seed: int, name: str = NAME) -> None:
    save_checkpoint(folder, make_checkpoint(name, replace(TINY[NAME], seed=seed)), torch.float32)


def exchange(folder: Path, seed: int, name: str = NAME) -> None:
    """Put a version in place as one would by hand: written aside, then two renames."""
    new, old = folder.with_name(f".new-{seed}"), folder.with_name(".old")
    shutil.rmtree(old, ignore_errors=True)
    save_version(new, seed, name)
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)


Scores = list[dict[str, float]]


def exact_scores(tmp_path: Path, seed: int) -> Scores:
    """Of TEXTS, by the library itself and without any server."""
    folder = tmp_path / f"exact-{seed}"
    save_version(folder, seed)
    return [dict(p.scores) for p in Predictor(load_checkpoint(folder), torch.device("cpu")).predict(TEXTS)]


def scores(answer: Any) -> Scores:
    return [{each["label"]: each["score"] for each in result["labels"]} for result in answer["results"]]


def are_equal(one: Scores, other: Scores) -> bool:
    """But for rounding: torch's kernels add in another order in other company, and looked-up tables in another too."""
    return all(
        abs(a[label] - b[label]) < 2e-6 for a, b in zip(one, other, strict=True) for label in a.keys() | b.keys()
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A weights folder of two models: NAME, of seed 1, and ``other``."""
    weights = tmp_path / "weights"
    save_version(weights / NAME, 1)
    save_version(weights / "other", 9, "other")
    return weights


def answer(client: httpx.Client) -> Scores:
    asked = client.post(PREDICT, json={"inputs": TEXTS})
    assert asked.status_code == 200, asked.text
    return scores(asked.json())


def damage(folder: Path) -> None:
    weights = folder / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about")
