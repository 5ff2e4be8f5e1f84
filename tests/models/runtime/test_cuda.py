"""Results on a CUDA device equal the CPU's; `pytest -m cuda` on a machine that has one."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from models.analysis.methods import METHODS
from models.checkpoint.checkpoint import load_checkpoint
from models.inference.analyst import Analyst, Question
from models.inference.inspection import Inspection
from models.inference.predictor import Predictor
from models.runtime.cuda.runner import CudaRunner
from models.runtime.runner import TorchRunner

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


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("name", ["tiny-zh-rnn", "tiny-zh-lstm", "tiny-zh-pooled"])
def test_attribution_and_fading_equal_the_cpus(name: str, method: str, weights_dir: Path) -> None:
    results = []
    for device in ("cpu", "cuda"):
        analyst = Analyst(Predictor(load_checkpoint(weights_dir / name), torch.device(device)))
        if analyst.network.encoder.cell not in METHODS[method].cells:
            return
        text = analyst.predictor.prepare(TEXTS[0])
        question = Question("positive", method=method)
        results.append((analyst.attribute(text, question).contributions, analyst.fading(text).value))
    for on_cpu, on_cuda in zip(*results, strict=True):
        assert np.abs(on_cpu - on_cuda).max() < 1e-4


@pytest.mark.parametrize("name", sorted(TINY))
def test_our_kernel_equals_cudnn_and_its_bits_are_the_same_in_company(name: str, weights_dir: Path) -> None:
    replay, own = (
        Predictor(load_checkpoint(weights_dir / name), torch.device("cuda"), kernel=kernel)
        for kernel in ("auto", "cuda")
    )
    if torch.cuda.get_device_capability() < (8, 0):
        assert isinstance(own.runner, TorchRunner)
        return
    assert isinstance(own.runner, CudaRunner)
    for ours, theirs in zip(own.predict(TEXTS, Inspection()), replay.predict(TEXTS, Inspection()), strict=True):
        assert ours.inside is not None
        assert theirs.inside is not None
        assert ours.inside.certificate.kernel == "cuda"
        assert ours.inside.certificate.recurrence_max_abs_error < 1e-5
        for tensor, values in theirs.inside.tensors.items():
            assert np.abs(values - ours.inside.tensors[tensor]).max() < 1e-4
    x = torch.zeros(len(TEXTS), 9, own.network.embedding.size)  # the product W_ih x may round its rows differently
    lengths = torch.tensor([9, 1, 4, 7, 2])
    together, _ = own.runner.run_inputs(x, lengths, "gates")
    for b, n in enumerate(lengths.tolist()):
        alone, _ = own.runner.run_inputs(x[b : b + 1, :n], lengths[b : b + 1], "nothing")
        assert torch.equal(alone.top[0], together.top[b, :n])


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
