"""The fused runner against torch's on whole models, its tables, and its pool of buffers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint.checkpoint import load_checkpoint
from models.inference.inspection import Inspection
from models.inference.predictor import Predictor
from models.runtime.cpu.fused import Buffers, FusedRunner
from models.runtime.cpu.kernel import KernelUnavailable, Precision, available
from models.runtime.cpu.tables import candidates, tabulate

from ....conftest import TINY
from ...inference.test_predictor import TEXTS

SHIPPED = Path(__file__).parents[4] / "weights"
KERNELS = [kernel.name for kernel in available()]
pytestmark = pytest.mark.skipif(not KERNELS, reason="the fused recurrence was not built: no compiler")
CPU = torch.device("cpu")


def fused(
    folder: Path, kernel: str = "auto", precision: Precision = "float32", threads: int = 1
) -> tuple[Predictor, FusedRunner]:
    predictor = Predictor(load_checkpoint(folder), CPU, kernel=kernel, precision=precision, threads=threads)
    assert isinstance(predictor.runner, FusedRunner)
    return predictor, predictor.runner


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", sorted(TINY))
@pytest.mark.parametrize("budget", [0, 10**9])
def test_the_fused_runner_equals_torchs(kernel: str, name: str, budget: int, weights_dir: Path) -> None:
    ours, runner = fused(weights_dir / name, kernel)
    tabulate([runner], budget)
    torchs = Predictor(load_checkpoint(weights_dir / name), CPU, kernel="torch")
    everything = Inspection(preactivations=True, embedding=True)
    for a, b in zip(ours.predict(TEXTS, everything), torchs.predict(TEXTS, everything), strict=True):
        assert np.abs(a.logits - b.logits).max() < 1e-5
        assert a.inside is not None
        assert b.inside is not None
        assert a.inside.certificate.recurrence_max_abs_error < 2e-6 * max(
            1, np.abs(a.inside.tensors["hidden_state"]).max() * 8
        )
        assert a.inside.certificate.kernel == f"fused-{kernel}"
        assert b.inside.certificate.kernel == "torch"
        assert a.inside.tensors.keys() == b.inside.tensors.keys()
        for tensor, values in a.inside.tensors.items():
            assert np.abs(values - b.inside.tensors[tensor]).max() < 1e-5, tensor


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["zh-sentiment-lstm", "zh-sentiment-rnn", "zh-sentiment-bilstm", "en-ner-bilstm"])
def test_a_prediction_is_bitwise_independent_of_its_batch(name: str, precision: Precision) -> None:
    predictor, _ = fused(SHIPPED / name, precision=precision)
    text = (
        "酒店服务一点也不好，房间很脏。" if name.startswith("zh") else "John Smith from Google doesn't live in London."
    )
    alone = predictor.predict([text], Inspection())[0]
    words = text if name.startswith("zh") else text.split()
    random = np.random.default_rng(0)
    for companions in (1, 2, 5, 6, 7, 12, 31, 63):
        parts = [random.permutation(list(words))[: random.integers(1, len(words) + 1)] for _ in range(companions)]
        others = [("" if name.startswith("zh") else " ").join(p) for p in parts]
        place = int(random.integers(0, companions + 1))
        together = predictor.predict([*others[:place], text, *others[place:]], Inspection())[place]
        assert np.array_equal(together.logits, alone.logits)
        assert together.scores == alone.scores
        assert together.entities == alone.entities
        assert together.inside is not None
        assert alone.inside is not None
        for tensor, values in alone.inside.tensors.items():
            assert np.array_equal(together.inside.tensors[tensor], values), tensor


@pytest.mark.parametrize("name", ["zh-ner-bilstm", "tiny-en-bilstm"])
def test_parallel_directions_equal_directions_in_turn(
    name: str, weights_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = (SHIPPED if (SHIPPED / name).exists() else weights_dir) / name
    texts = [text * 10 for text in TEXTS]
    in_turn = fused(folder)[0].predict(texts, Inspection())
    monkeypatch.setattr("models.runtime.cpu.fused._WORTH_A_THREAD", 0)
    predictor, runner = fused(folder, threads=2)
    together = predictor.predict(texts, Inspection())
    assert runner._second_thread is not None
    assert runner._second_thread._threads
    for a, b in zip(together, in_turn, strict=True):
        assert np.array_equal(a.logits, b.logits)
        assert a.inside is not None
        assert b.inside is not None
        assert all(np.array_equal(values, b.inside.tensors[name]) for name, values in a.inside.tensors.items())


@pytest.mark.parametrize("name", ["zh-sentiment-lstm", "zh-ner-bilstm", "zh-sentiment-rnn"])
def test_in_bfloat16_the_certificate_shows_the_true_error(name: str) -> None:
    text = "酒店服务一点也不好，房间很脏，中国女排在北京战胜了巴西队。"
    exact, rounded = (fused(SHIPPED / name, precision=p)[0] for p in ("float32", "bfloat16"))
    bfloat16, float32 = rounded.predict([text], Inspection())[0], exact.predict([text], Inspection())[0]
    assert bfloat16.inside is not None
    assert float32.inside is not None
    assert (bfloat16.inside.certificate.dtype, float32.inside.certificate.dtype) == ("bfloat16", "float32")
    assert 1e-5 < bfloat16.inside.certificate.recurrence_max_abs_error < 5e-2
    assert float32.inside.certificate.recurrence_max_abs_error < 1e-5
    assert 0 < np.abs(bfloat16.logits - float32.logits).max() < 0.1


def test_bfloat16_without_a_fused_kernel_is_refused(weights_dir: Path) -> None:
    with pytest.raises(KernelUnavailable, match="bfloat16 is the fused kernel's, and tiny-zh-lstm runs on torch's"):
        fused(weights_dir / "tiny-zh-lstm", "torch", "bfloat16")


def test_tables_take_the_largest_gain_first_and_no_more_than_they_may(weights_dir: Path) -> None:
    runners = [fused(weights_dir / name)[1] for name in ("tiny-zh-lstm", "tiny-zh-rnn")]
    by_gain = sorted((c for r in runners for c in candidates(r)), key=lambda c: -c.gain)
    assert tabulate(runners, 0) == 0
    assert not any(p.tables for r in runners for p in r.inputs)
    budget = by_gain[0].bytes
    assert tabulate(runners, budget) == budget
    assert [c.kind for c in by_gain[:1]] == list(by_gain[0].runner.inputs[0].tables)


def test_a_buffer_is_reused_once_no_tensor_views_it() -> None:
    buffers = Buffers()
    first = buffers.take(3, 5)
    view, address = first[1:], first.data_ptr()
    del first
    second = buffers.take(3, 5)
    assert second.data_ptr() != address  # `view` still views it
    del view
    third = buffers.take(2, 4)
    assert third.data_ptr() == address
    array = third.numpy()
    del third
    assert buffers.take(2, 4).data_ptr() != address
    assert array.shape == (2, 4)
