"""The kernels suite: contenders agree, ratios are taken within a round, a fit finds its exponent. Nothing is timed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bench import contenders, graphs, growth, kernels, limits
from bench.contenders import BF16, FUSED, LOOP, RECORDED, REPLAY, Batch
from bench.fits import fit
from bench.ratios import Spread, Timings, measure, rotated
from models.network.network import Architecture, build
from models.recurrence.cells import Cell
from models.recurrence.layer import Direction
from models.runtime.cpu.kernel import available
from models.text.features import Feature

pytestmark = pytest.mark.skipif(not available(), reason="no fused kernel was built here")
FORWARD: tuple[Direction, ...] = ("forward",)


def tiny(cell: Cell, layers: int = 1, directions: tuple[Direction, ...] = FORWARD) -> contenders.Network:
    torch.manual_seed(1)
    features = (Feature("token", 30, 5), Feature("bigram", 40, 3), Feature("subword", 20, 4))
    network = build(Architecture("text-classification", cell, features, 7, layers, directions, 2))
    for parameter in network.parameters():
        parameter.data.normal_(std=0.5)
    for table in network.embedding.tables.values():
        table.data[0] = 0
    return network.eval().requires_grad_(False)


@pytest.fixture
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def drawn(network: contenders.Network) -> Batch:
    bags = {"token": 1, "bigram": 1, "subword": 3}
    ids = {f.kind: torch.randint(1, f.rows, (3, 6, bags[f.kind])) for f in network.architecture.features}
    return Batch(ids, torch.full((3,), 6))


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
@pytest.mark.parametrize(("layers", "directions"), [(1, FORWARD), (2, kernels.BOTH)])
@pytest.mark.usefixtures("inference")
def test_every_contender_has_the_states_and_gates_of_the_library(
    cell: Cell, layers: int, directions: tuple[Direction, ...]
) -> None:
    network = tiny(cell, layers, directions)
    field = contenders.contenders(network, available()[0])
    errors = contenders.compare(field, drawn(network))
    assert {FUSED, RECORDED, REPLAY} <= set(errors)
    assert (LOOP in errors) == (cell == "lstm")
    assert all(error < 1e-5 for name, error in errors.items() if name != BF16)
    assert 1e-5 < errors[BF16] < 0.1


@pytest.mark.usefixtures("inference")
def test_a_contender_of_other_weights_is_found_out() -> None:
    network = tiny("lstm")
    field = contenders.contenders(network, available()[0])
    network.encoder.recurrence(0, "forward").weights.weight_hh[0, 0] += 0.5  # the packed ones are copies
    with pytest.raises(AssertionError, match=r"differs from nn\.LSTM by"):
        contenders.compare(field, drawn(network))


def test_without_onnx_it_is_left_out_with_a_reason() -> None:
    if graphs.importlib.util.find_spec("onnxruntime"):
        pytest.skip("ONNX Runtime is here")
    added, reasons = graphs.onnx_runtime(tiny("lstm"))
    assert not added
    assert all("python -m bench kernels" in sentence for sentence in reasons.values())


def test_a_batch_is_of_full_length_and_of_true_bags() -> None:
    network = kernels.shipped(Path("weights/en-sentiment-lstm"))()
    batch = kernels.batch(network, tokens=9, texts=3)
    assert batch.shape == (3, 9)
    assert batch.ids["token"].shape == (3, 9, 1)
    assert batch.ids["subword"].shape[2] > 3
    assert int(batch.ids["token"].min()) > 0


def test_ratios_are_taken_within_a_round() -> None:
    timings = Timings({"a": [2.0, 30.0, 4.0], "b": [1.0, 10.0, 8.0]})
    assert timings.ratio("a", "b") == Spread(2.0, 0.5, 3.0)
    assert timings.spread("a") == Spread(4.0, 2.0, 30.0)


def test_time_is_that_of_each_contenders_own_calls() -> None:
    """With a clock that only the calls advance: the machine gets slower with each call, and the ratio stays the same."""
    now, called = [0.0], 0

    def work(seconds: float) -> None:
        nonlocal called
        called += 1
        now[0] += seconds * (1 + called / 1000)

    (timings,) = measure({"a": lambda: work(3.0), "b": lambda: work(1.0)}, 4, at_least_s=0.1, clocks=[lambda: now[0]])
    ratio = timings.ratio("a", "b")
    assert ratio.low == pytest.approx(3, rel=0.01)
    assert ratio.high == pytest.approx(3, rel=0.01)
    assert timings.seconds["b"] == sorted(timings.seconds["b"])


def test_each_round_begins_with_another_contender() -> None:
    assert [rotated(["a", "b", "c"], turn)[0] for turn in range(4)] == ["a", "b", "c", "a"]
    assert sorted(rotated(["a", "b", "c"], 5)) == ["a", "b", "c"]


def test_a_short_call_is_repeated_until_the_clock_can_tell() -> None:
    now, called = [0.0], [0]

    def call() -> None:
        called[0] += 1
        now[0] += 1e-3

    (timings,) = measure({"a": call}, rounds=1, at_least_s=0.05, clocks=[lambda: now[0]])
    assert called[0] > 50
    assert timings.seconds["a"][0] == pytest.approx(1e-3)


def test_a_fit_recovers_its_exponent_past_a_fixed_cost() -> None:
    power_law = fit([(2.0**n, 5 * (2.0**n) ** 1.5) for n in range(7)])
    assert power_law.exponent == pytest.approx(1.5)
    assert power_law.residual == pytest.approx(0, abs=1e-9)
    assert (power_law.first, power_law.last) == (8.0, 64.0)
    assert fit([(2.0**n, 100 + 2.0**n) for n in range(14)]).exponent == pytest.approx(1, abs=0.15)


def test_a_fit_of_too_few_points_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        fit([(1, 1), (2, 2)])


@pytest.mark.usefixtures("inference")
def test_the_limits_are_measured_with_and_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for with_compiler in (True, False):
        if not with_compiler:
            monkeypatch.setattr(limits.shutil, "which", lambda name: None)
        measured = limits.limits([4096], rounds=1, build=tmp_path / "limits.so")
        assert measured["multiply_add_gflops"]["median"] > 0  # type: ignore[index]
        assert set(measured["read_gbytes"]) == {"16384"}  # type: ignore[call-overload]
        assert ("C++" in str(measured["how"])) == (with_compiler and limits.shutil.which("g++") is not None)


def test_the_work_is_that_of_the_products() -> None:
    network = tiny("lstm", layers=2, directions=kernels.BOTH)
    work = limits.work(network, ["token", "bigram"], tokens=5, texts=3)
    one_direction = 4 * 7
    layer_0, layer_1 = 2 * one_direction * (4 + 7), 2 * one_direction * (14 + 7)
    assert work["operations"] == 2 * 5 * 3 * (layer_0 + layer_1)
    assert work["recurrent_bytes"] == 4 * 5 * 2 * 2 * one_direction * 7


@pytest.mark.usefixtures("inference")
def test_growth_is_measured_at_every_requested_size() -> None:
    effort = growth.Effort(tokens=(1, 2, 4), batch=(1, 2, 3), units=(4, 8, 16), answer_tokens=(2, 4, 6), rounds=1)
    bench = growth.Bench(Path("weights"), effort, available()[0])
    curves = growth.by_tokens(bench) | growth.by_answer(bench)
    assert [p["x"] for p in curves["tokens"]["series"][FUSED]["points"]] == [1, 2, 4]
    assert set(curves["answer"]["series"]) == set(growth.STYLES)
    assert all(s["fit"]["last"] == s["points"][-1]["x"] for c in curves.values() for s in c["series"].values())


def test_memory_of_this_process_is_in_megabytes() -> None:
    if os.path.exists("/proc/self/status"):
        assert 10 < growth.resident_mb() < 100_000
