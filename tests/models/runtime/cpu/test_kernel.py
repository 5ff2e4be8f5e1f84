"""Every target that this machine can run against a float64 step loop."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.recurrence.cells import CellWeights, lstm_step, rnn_step
from models.runtime.cpu.kernel import LIBRARY, Kernel, KernelUnavailable, LookUp, Precision, available, choose

ROOT = Path(__file__).parents[4]
KERNELS = available()
pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="the fused recurrence was not built: no compiler")
each_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.name)
each_precision = pytest.mark.parametrize("precision", ["float32", "bfloat16"])
CELLS = {"lstm": 4, "rnn": 1}


def weights_of(gates: int, units: int, depth: int, seed: int = 0, norm: float = 0.9) -> CellWeights:
    """Random weights whose blocks of W_hh have the spectral norm `norm`, so that errors do not grow."""
    random = torch.Generator().manual_seed(seed)
    hh = torch.randn(gates, units, units, generator=random)
    hh *= norm / torch.linalg.matrix_norm(hh, 2)[:, None, None]
    ih = torch.randn(gates * units, depth, generator=random) / depth**0.5
    bias = torch.randn(2, gates * units, generator=random) * 0.3
    return CellWeights(ih, hh.reshape(-1, units), bias[0], bias[1])


def run(
    kernel: Kernel,
    w: CellWeights,
    x: Tensor,
    lengths: list[int],
    reverse: bool = False,
    record: bool = True,
    state: tuple[Tensor, Tensor | None] | None = None,
    precision: Precision = "float32",
) -> dict[str, Tensor]:
    """The kernel's states and gates by name: [batch, time, unit]."""
    batch, time, units = x.shape[0], x.shape[1], w.units
    gates = w.weight_hh.shape[0] // units
    pre = torch.full((batch * time, kernel.packed(gates, units)), float("nan"))
    ih, hh = (kernel.pack(weight, gates, precision) for weight in (w.weight_ih, w.weight_hh))
    kernel.project(x.reshape(batch * time, -1), ih, kernel.pack_row(w.bias_ih + w.bias_hh, gates), pre)
    out = torch.full((batch, time, units), float("nan"))
    recorded = torch.full((9 if gates == 4 else 1, batch, time, units), float("nan")) if record else None
    n = torch.tensor(lengths)
    order, last = torch.argsort(n, descending=True, stable=True), torch.empty(batch, units)
    kernel.recur(gates, reverse, n, order, hh, pre, out, recorded, state, last)
    names = ["input_gate", "forget_gate", "cell_gate", "output_gate", "cell_state", "z_i", "z_f", "z_g", "z_o"]
    result = {"hidden_state": out}
    if recorded is not None:
        result |= dict(zip(names if gates == 4 else ["z"], recorded, strict=True))
    return result | ({"last": last} if gates == 4 else {})


def as_bfloat16(x: Tensor) -> Tensor:
    return x.bfloat16().float()


def step_loop(w: CellWeights, x: Tensor, length: int, reverse: bool) -> dict[str, Tensor]:
    """One text in float64, a step at a time: [time, unit]."""
    w, x = w.to(torch.float64), x.double()
    h = c = torch.zeros(1, w.units, dtype=torch.float64)
    steps: dict[int, dict[str, Tensor]] = {}
    for t in reversed(range(length)) if reverse else range(length):
        if w.weight_hh.shape[0] == w.units:
            h = rnn_step(x[None, t], h, w)
            steps[t] = {"hidden_state": h}
        else:
            step = lstm_step(x[None, t], (h, c), w)
            h, c = step.hidden_state, step.cell_state
            steps[t] = step._asdict()
    return {name: torch.cat([steps[t][name] for t in range(length)]) for name in steps[0]}


@each_kernel
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("units", [1, 5, 16, 17, 63, 64, 65, 100, 128])
def test_states_and_gates_equal_the_step_loop(kernel: Kernel, cell: str, reverse: bool, units: int) -> None:
    lengths = [9, 1, 12, 7, 12, 2, 3, 11]
    w = weights_of(CELLS[cell], units, 6, units)
    x = torch.randn(len(lengths), max(lengths), 6, generator=torch.Generator().manual_seed(1))
    result = run(kernel, w, x, lengths, reverse)
    for b, n in enumerate(lengths):
        for name, exact in step_loop(w, x[b], n, reverse).items():
            assert (result[name][b, :n] - exact).abs().max() < 1e-5, name
        for name in set(result) - {"last"}:
            assert not result[name][b, n:].any(), f"{name} is not zero in padding"


@each_kernel
@pytest.mark.parametrize("cell", CELLS)
def test_ten_thousand_steps_stay_exact(kernel: Kernel, cell: str) -> None:
    w = weights_of(CELLS[cell], 24, 3)
    x = torch.randn(1, 10_000, 3, generator=torch.Generator().manual_seed(2))
    result = run(kernel, w, x, [10_000])
    for name, exact in step_loop(w, x[0], 10_000, False).items():
        assert (result[name][0] - exact).abs().max() < 1e-5


@each_kernel
@each_precision
@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_one_step_is_exact_for_all_inputs(kernel: Kernel, cell: str, precision: Precision, data: st.DataObject) -> None:
    """From the same state, within 2e-6 * max(1, |c|, s): denormals, huge preactivations, states of any size.

    In bfloat16 the bound holds for the step with rounded weights, input and state.

    s: the largest sum over a unit's row of |w x| + |w h| + |b|, divided by 16. The float32 error of a forget gate's sum
    enters c multiplied by |c_{t-1}|, whatever the order of summation; so above |c_{t-1}| = 8 the bound uses
    s |c_{t-1}| / 8.
    """
    seed = data.draw(st.integers(0, 2**32 - 1))
    size = data.draw(st.sampled_from([0.0, 1e-42, 1e-38, 1e-10, 1e-3, 1.0, 10.0, 1e3, 1e10]))
    units, depth, gates = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40)), CELLS[cell]
    random = torch.Generator().manual_seed(seed)
    w = CellWeights(
        torch.randn(gates * units, depth, generator=random),
        torch.randn(gates * units, units, generator=random),
        torch.randn(gates * units, generator=random) * size,
        torch.zeros(gates * units),
    )
    x, h = torch.randn(1, 1, depth, generator=random) * size, torch.rand(1, units, generator=random) * 2 - 1
    c = torch.randn(1, units, generator=random) * min(size, 100.0)
    result = run(kernel, w, x, [1], state=(h, c if gates == 4 else None), precision=precision)
    if precision == "bfloat16":
        x, h = as_bfloat16(x), as_bfloat16(h)
        w = CellWeights(as_bfloat16(w.weight_ih), as_bfloat16(w.weight_hh), w.bias_ih, w.bias_hh)
    exact, wide = w.to(torch.float64), x[0].double()
    s = (
        exact.weight_ih.abs() @ wide[0].abs() + exact.weight_hh.abs() @ h[0].double().abs() + exact.bias_ih.abs()
    ).max() / 16
    if gates == 4:
        step = lstm_step(wide, (h.double(), c.double()), exact)._asdict()
        carried = s * (c.abs().double() / 8).clamp(min=1.0)
        state_bound = 2e-6 * torch.clamp(torch.maximum(step["cell_state"].abs(), carried), min=1.0)
        gate_bound = 2e-6 * s.clamp(min=1.0)
        assert torch.equal(result["last"], result["cell_state"][0])
    else:
        step, state_bound = {"hidden_state": rnn_step(wide, h.double(), exact)}, 2e-6 * s.clamp(min=1.0)
    for name, value in step.items():
        bound = gate_bound if name.endswith("gate") else state_bound
        assert ((result[name][0] - value).abs() <= bound).all(), name


@each_kernel
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("reverse", [False, True])
@each_precision
def test_a_texts_values_are_bitwise_independent_of_its_batch(
    kernel: Kernel, cell: str, reverse: bool, precision: Precision
) -> None:
    random = np.random.default_rng(3)
    w = weights_of(CELLS[cell], 40, 8)
    text = torch.randn(1, 30, 8, generator=torch.Generator().manual_seed(3))
    alone = run(kernel, w, text, [30], reverse, precision=precision)
    for companions in range(1, 64):
        others = torch.from_numpy(random.standard_normal((companions, 37, 8)).astype(np.float32))
        lengths = [int(n) for n in random.integers(1, 38, companions)]
        place = int(random.integers(0, companions + 1))
        x = torch.cat([others[:place], torch.nn.functional.pad(text, (0, 0, 0, 7)), others[place:]])
        result = run(kernel, w, x, [*lengths[:place], 30, *lengths[place:]], reverse, precision=precision)
        for name, values in alone.items():
            in_batch = result[name][place] if name == "last" else result[name][place, :30]
            assert torch.equal(in_batch, values[0]), name


@each_kernel
@pytest.mark.parametrize("cell", CELLS)
@each_precision
def test_recording_changes_no_bit(kernel: Kernel, cell: str, precision: Precision) -> None:
    w, x = weights_of(CELLS[cell], 33, 4), torch.randn(5, 20, 4)
    lengths = [20, 3, 11, 20, 1]
    recorded, plain = (
        run(kernel, w, x, lengths, record=record, precision=precision)["hidden_state"] for record in (True, False)
    )
    assert torch.equal(recorded, plain)


@each_kernel
@pytest.mark.parametrize("cell", CELLS)
@each_precision
def test_a_text_read_in_two_parts_is_the_whole(kernel: Kernel, cell: str, precision: Precision) -> None:
    w, x = weights_of(CELLS[cell], 20, 4), torch.randn(3, 12, 4)
    whole = run(kernel, w, x, [12, 12, 12], precision=precision)
    first = run(kernel, w, x[:, :5].contiguous(), [5, 5, 5], precision=precision)
    state = (first["hidden_state"][:, -1].contiguous(), first.get("last"))
    second = run(kernel, w, x[:, 5:].contiguous(), [7, 7, 7], state=state, precision=precision)
    assert torch.equal(torch.cat([first["hidden_state"], second["hidden_state"]], 1), whole["hidden_state"])


@each_kernel
@pytest.mark.parametrize("outputs", [1, 3, 63, 64, 65])
@pytest.mark.parametrize("count", [1, 2, 6, 7, 13, 1030])
def test_project_is_the_product(kernel: Kernel, outputs: int, count: int) -> None:
    random = torch.Generator().manual_seed(5)
    x, w, b = (
        torch.randn(count, 37, generator=random),
        torch.randn(outputs, 37, generator=random),
        torch.randn(outputs, generator=random),
    )
    out = torch.zeros(count, kernel.packed(1, outputs))
    kernel.project(x, kernel.pack(w, 1), kernel.pack_row(b, 1), out)
    exact = x.double() @ w.double().T + b.double()
    assert (out[:, :outputs] - exact).abs().max() < 1e-5
    assert not out[:, outputs:].any()
    some = torch.arange(0, count, 2)
    twice = out.clone()
    kernel.project(x, kernel.pack(w, 1), None, twice, some)
    assert (twice[some, :outputs] - (2 * exact - b.double())[some]).abs().max() < 2e-5
    assert torch.equal(twice[1::2], out[1::2])


@each_kernel
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("units", [1, 17, 64, 101])
def test_bfloat16_stays_near_the_float64_loop(kernel: Kernel, cell: str, units: int) -> None:
    lengths = [40, 7]
    w = weights_of(CELLS[cell], units, 6, units)
    x = torch.randn(2, 40, 6, generator=torch.Generator().manual_seed(1))
    result = run(kernel, w, x, lengths, precision="bfloat16")
    for b, n in enumerate(lengths):
        for name, exact in step_loop(w, x[b], n, False).items():
            assert 1e-7 < (result[name][b, :n] - exact).abs().max() < 5e-2, name


@each_kernel
def test_numbers_are_rounded_to_bfloat16_as_torch_rounds_them(kernel: Kernel) -> None:
    """Ties to even, infinities and NaN included; through a product with 1, which keeps the rounded input."""
    x = torch.cat([torch.randn(200), torch.tensor([1.00390625, 1.01171875, 3.3895314e38, float("inf"), float("nan")])])
    out = torch.empty(len(x), kernel.packed(1, 1))
    one = kernel.pack(torch.ones(1, 1), 1, "bfloat16")
    kernel.project(x[:, None].contiguous(), one, torch.zeros(kernel.packed(1, 1)), out)
    assert torch.equal(out[:-1, 0], as_bfloat16(x)[:-1])
    assert out[-1, 0].isnan()


@each_kernel
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("on_top", [False, True])
def test_a_look_up_equals_its_sum_given_as_preactivations(
    kernel: Kernel, cell: str, reverse: bool, on_top: bool
) -> None:
    random = torch.Generator().manual_seed(7)
    gates, units, lengths = CELLS[cell], 21, torch.tensor([5, 2, 6, 6])
    w, packed = weights_of(gates, units, 3), kernel.packed(gates, units)
    tables = [torch.randn(rows, packed, generator=random) for rows in (7, 3)]
    ids = [torch.randint(len(table), (24,), generator=random) for table in tables]
    bias, pre = torch.randn(packed, generator=random), torch.randn(24, packed, generator=random) if on_top else None
    summed = (bias if pre is None else pre) + tables[0][ids[0]] + tables[1][ids[1]]
    order, hh = torch.argsort(lengths, descending=True, stable=True), kernel.pack(w.weight_hh, gates)
    looked_up, exact = torch.empty(4, 6, units), torch.empty(4, 6, units)
    kernel.recur(gates, reverse, lengths, order, hh, pre, looked_up, look_up=LookUp(tables, ids, bias))
    kernel.recur(gates, reverse, lengths, order, hh, summed, exact)
    assert torch.equal(looked_up, exact)


@each_kernel
@pytest.mark.parametrize("size", [1, 5])
def test_a_bag_is_the_mean_of_the_rows_it_names(kernel: Kernel, size: int) -> None:
    random = torch.Generator().manual_seed(8)
    table, ids = torch.randn(9, 21, generator=random), torch.randint(9, (30, size), generator=random)
    ids[3] = 0
    out = torch.full((30, 40), float("nan"))
    kernel.bag(table, ids, out[:, 5:26])
    for n, bag in enumerate(ids):
        rows = table[bag[bag != 0]]
        exact = rows.double().mean(0) if len(rows) else torch.zeros(21)
        assert (out[n, 5:26] - exact).abs().max() < 1e-6
    assert out[:, :5].isnan().all()
    assert out[:, 26:].isnan().all()


@each_kernel
def test_pool_reads_each_texts_own_timesteps(kernel: Kernel) -> None:
    states, lengths = torch.randn(4, 9, 21), torch.tensor([9, 1, 4, 8])
    states[1, 1:] = float("nan")
    out = torch.empty(4, 42)
    kernel.pool(states, lengths, out)
    for b, n in enumerate(lengths.tolist()):
        assert torch.allclose(out[b, :21], states[b, :n].mean(0), atol=1e-6)
        assert torch.equal(out[b, 21:], states[b, :n].amax(0))


def test_a_kernel_is_chosen_by_name() -> None:
    assert choose("torch") is None
    best = choose("auto")
    assert best is not None
    assert best.name == KERNELS[0].name
    assert {k.name for k in KERNELS} >= {"generic"}
    with pytest.raises(KernelUnavailable, match=r"allowed are auto, .*generic and torch"):
        choose("sparc")


def test_without_a_compiled_library_there_is_none(tmp_path: Path) -> None:
    assert available(tmp_path / "recurrence.so") == []
    assert choose("auto", tmp_path / "recurrence.so") is None


def test_the_sanitizers_find_nothing(tmp_path: Path) -> None:
    """Every function on ragged shapes, on a build under the address and undefined-behaviour sanitizers."""
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True)
    if runtime.returncode or not Path(runtime.stdout.strip()).is_absolute():
        pytest.skip("no compiler with sanitizers is at hand")
    folders = ["--build-lib", str(tmp_path), "--build-temp", str(tmp_path / "temp")]
    command = [sys.executable, "setup.py", "-q", "build_ext", *folders]
    environment = {**os.environ, "GATESCOPE_SANITIZE": "address,undefined"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    library = tmp_path / "models/runtime/cpu/kernel/recurrence.so"
    assert library.exists(), built.stderr
    script = ROOT / "tests/models/runtime/cpu/exercise_kernel.py"
    command = [sys.executable, str(script), str(library)]
    environment = {
        **os.environ,
        "LD_PRELOAD": runtime.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "halt_on_error=1",
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "every target was exercised" in done.stdout
