"""The fused runner beside torch's, whole models, and the memory that it manages."""

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
def test_the_fused_runner_says_what_torchs_says(kernel: str, name: str, budget: int, weights_dir: Path) -> None:
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
def test_an_answer_is_bit_for_bit_the_same_in_any_company(name: str, precision: Precision) -> None:
    predictor, _ = fused(SHIPPED / name, precision=precision)
    text = (
        "酒店服务一点也不好，房间很脏。" if name.startswith("zh") else "John Smith from Google doesn't live in London."
    )
    alone = predictor.predict([text], Inspection())[0]
    words = text if name.startswith("zh") else text.split()
    make = np.random.default_rng(0)
    for companions in (1, 2, 5, 6, 7, 12, 31, 63):
        parts = [make.permutation(list(words))[: make.integers(1, len(words) + 1)] for _ in range(companions)]
        others = [("" if name.startswith("zh") else " ").join(p) for p in parts]
        place = int(make.integers(0, companions + 1))
        found = predictor.predict([*others[:place], text, *others[place:]], Inspection())[place]
        assert np.array_equal(found.logits, alone.logits)
        assert found.scores == alone.scores
        assert found.entities == alone.entities
        assert found.inside is not None
        assert alone.inside is not None
        for tensor, values in alone.inside.tensors.items():
            assert np.array_equal(found.inside.tensors[tensor], values), tensor


@pytest.mark.parametrize("name", ["zh-ner-bilstm", "tiny-en-bilstm"])
def test_directions_side_by_side_say_what_they_say_in_turn(
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
def test_in_bfloat16_the_certificate_tells_the_true_error(name: str) -> None:
    text = "酒店服务一点也不好，房间很脏，中国女排在北京战胜了巴西队。"
    exact, rounded = (fused(SHIPPED / name, precision=p)[0] for p in ("float32", "bfloat16"))
    said, meant = rounded.predict([text], Inspection())[0], exact.predict([text], Inspection())[0]
    assert said.inside is not None
    assert meant.inside is not None
    assert (said.inside.certificate.dtype, meant.inside.certificate.dtype) == ("bfloat16", "float32")
    assert 1e-5 < said.inside.certificate.recurrence_max_abs_error < 5e-2
    assert meant.inside.certificate.recurrence_max_abs_error < 1e-5
    assert 0 < np.abs(said.logits - meant.logits).max() < 0.1


def test_bfloat16_without_a_fused_kernel_is_told(weights_dir: Path) -> None:
    with pytest.raises(KernelUnavailable, match="bfloat16 is the fused kernel's, and tiny-zh-lstm runs on torch's"):
        fused(weights_dir / "tiny-zh-lstm", "torch", "bfloat16")


def test_tables_take_the_largest_gain_first_and_no_more_than_they_may(weights_dir: Path) -> None:
    runners = [fused(weights_dir / name)[1] for name in ("tiny-zh-lstm", "tiny-zh-rnn")]
    every = sorted((c for r in runners for c in candidates(r)), key=lambda c: -c.gain)
    assert tabulate(runners, 0) == 0
    assert not any(p.tables for r in runners for p in r.inputs)
    budget = every[0].bytes
    taken = tabulate(runners, budget)
    assert taken == budget
    assert [c.kind for c in every[:1]] == list(every[0].runner.inputs[0].tables)


def test_memory_is_lent_again_when_nothing_stands_on_it() -> None:
    buffers = Buffers()
    first = buffers.take(3, 5)
    part, where = first[1:], first.data_ptr()
    del first
    second = buffers.take(3, 5)
    assert second.data_ptr() != where  # a view is still there
    del part
    third = buffers.take(2, 4)
    assert third.data_ptr() == where
    seen = third.numpy()
    del third
    assert buffers.take(2, 4).data_ptr() != where
    assert seen.shape == (2, 4)
