"""Results on a CUDA device equal the CPU's; `pytest -m cuda` on a machine that has one."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint.checkpoint import load_checkpoint
from models.inference.analyst import Analyst, Question
from models.inference.inspection import Inspection
from models.inference.predictor import Predictor

from ...conftest import TINY
from ..inference.test_predictor import TEXTS

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is at hand"),
]


@pytest.mark.parametrize("name", sorted(TINY))
def test_prediction_states_and_gates_equal_the_cpus(name: str, weights_dir: Path) -> None:
    cpu, cuda = (Predictor(load_checkpoint(weights_dir / name), torch.device(d)) for d in ("cpu", "cuda"))
    for on_cpu, on_cuda in zip(cpu.predict(TEXTS, Inspection()), cuda.predict(TEXTS, Inspection()), strict=True):
        assert np.abs(on_cpu.logits - on_cuda.logits).max() < 1e-4
        assert on_cpu.inside is not None
        assert on_cuda.inside is not None
        assert on_cuda.inside.certificate.recurrence_max_abs_error < 1e-4
        assert on_cuda.inside.certificate.device == "cuda"
        for tensor, values in on_cpu.inside.tensors.items():
            assert np.abs(values - on_cuda.inside.tensors[tensor]).max() < 1e-4


@pytest.mark.parametrize("name", ["tiny-zh-rnn", "tiny-zh-lstm", "tiny-zh-pooled"])
def test_attribution_and_fading_equal_the_cpus(name: str, weights_dir: Path) -> None:
    results = []
    for device in ("cpu", "cuda"):
        analyst = Analyst(Predictor(load_checkpoint(weights_dir / name), torch.device(device)))
        text = analyst.predictor.prepare(TEXTS[0])
        results.append((analyst.attribute(text, Question("positive")).contributions, analyst.fading(text).value))
    for on_cpu, on_cuda in zip(*results, strict=True):
        assert np.abs(on_cpu - on_cuda).max() < 1e-4


def test_tf32_is_off(weights_dir: Path) -> None:
    Predictor(load_checkpoint(weights_dir / "tiny-zh-lstm"), torch.device("cuda"))
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32


def test_training_runs_on_cuda(tmp_path: Path) -> None:
    rows = '{"text": "很好", "label": "positive"}\n{"text": "很差", "label": "negative"}\n' * 20
    (tmp_path / "train.jsonl").write_text(rows, "utf-8")
    (tmp_path / "dev.jsonl").write_text(rows, "utf-8")
    arguments = "--name tiny --task text-classification --language zh --train train.jsonl --dev dev.jsonl --epochs 2 --device cuda"
    done = subprocess.run(
        [sys.executable, "-m", "service", "train", *arguments.split()], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert load_checkpoint(tmp_path / "weights" / "tiny").manifest.metrics["accuracy"] > 0.9
