"""The arithmetic and the barriers of recurrence.cu without a card, against a step loop in float64."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint.checkpoint import Checkpoint
from models.inference.prediction import Prepared
from models.inference.predictor import Predictor
from models.recurrence.cells import PREACTIVATED, TENSORS, lstm_step, rnn_step
from models.runtime.cpu.kernel import KernelUnavailable
from models.runtime.cuda.compiling import cluster_of
from models.runtime.cuda.problem import Limits
from models.runtime.cuda.runner import CudaRunner
from models.runtime.runner import TorchRunner
from models.text.features import batch_ids

from ....oracles import step_loop
from .emulation import AMPERE, HOPPER, Emulated, needs_compiler

pytestmark = needs_compiler
BOTH = ("forward", "reverse")
TEXTS = ["我想吃汉堡", "好", "a b c", "酒店 b", "北京", "c d"]
CLOSE = 2e-6
CROWDED = Limits((9, 0), 8, 227 << 10)  # so few multiprocessors that several texts share a cluster


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("emulated")


def runner_of(predictor: Predictor, limits: Limits, launch: Emulated) -> CudaRunner:
    return CudaRunner(TorchRunner(predictor.network, torch.device("cpu")), limits, launch)


def prepared(predictor: Predictor, texts: list[str]) -> tuple[list[Prepared], torch.Tensor]:
    found = [predictor.prepare(text) for text in texts]
    return found, torch.tensor([len(text) for text in found])


@pytest.mark.parametrize("limits", [HOPPER, CROWDED, AMPERE], ids=["a text a cluster", "four together", "one block"])
@pytest.mark.parametrize("shape", [{"cell": "lstm", "directions": BOTH}, {"cell": "rnn", "directions": BOTH}])
def test_every_state_gate_and_preactivation_is_the_step_loops(
    tiny_checkpoint: Callable[..., Checkpoint], programs: Path, shape: dict[str, object], limits: Limits
) -> None:
    predictor = Predictor(tiny_checkpoint(units=61, **shape), torch.device("cpu"), kernel="torch")
    for parameter in predictor.network.encoder.parameters():
        parameter.mul_(0.2)  # so that an RNN does not blow rounding up from step to step
    launch = Emulated(programs)
    texts, lengths = prepared(predictor, TEXTS)
    _, activations = runner_of(predictor, limits, launch).run(batch_ids([t.ids for t in texts]), lengths, "everything")
    assert activations is not None
    assert {variant.cluster for variant, _ in launch.launched} == {cluster_of(61, limits.capability)}
    assert {variant.together for variant, _ in launch.launched} == ({1} if limits is HOPPER else {4})
    cell = predictor.network.encoder.cell
    for b, text in enumerate(texts):
        truth = step_loop(predictor.network, text.ids)
        for name in TENSORS[cell]:
            for layer, by_direction in enumerate(activations):
                for d, recorded in enumerate(by_direction):
                    assert np.abs(recorded[name][b, : len(text)].numpy() - truth[name][layer, d]).max() < CLOSE
        for by_direction in activations:
            for recorded in by_direction:
                for name in PREACTIVATED[cell]:
                    z = recorded[f"{name}_preactivation"][b, : len(text)].double()
                    squash = torch.tanh if name in ("cell_gate", "hidden_state") else torch.sigmoid
                    assert (squash(z) - recorded[name][b, : len(text)]).abs().max() < CLOSE


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_alone_in_company_recorded_or_not_and_on_either_card_the_bits_are_the_same(
    tiny_checkpoint: Callable[..., Checkpoint], programs: Path, cell: str
) -> None:
    predictor = Predictor(tiny_checkpoint(units=64, cell=cell), torch.device("cpu"), kernel="torch")
    texts, lengths = prepared(predictor, TEXTS)
    x = torch.randn(len(texts), int(lengths.max()), predictor.network.embedding.size)
    found = []
    for limits, recording, seed in ((CROWDED, "everything", 1), (CROWDED, "nothing", 2), (AMPERE, "gates", 3)):
        runner = runner_of(predictor, limits, Emulated(programs, seed))
        run, _ = runner.run_inputs(x, lengths, recording)
        found.append([run.top[b, :n] for b, n in enumerate(lengths.tolist())])
    runner = runner_of(predictor, HOPPER, Emulated(programs, 4))
    # The product W_ih x is torch's, which may round its rows differently in company: x is zero here but for the bias.
    zero = torch.zeros_like(x)
    together, _ = runner_of(predictor, CROWDED, Emulated(programs, 5)).run_inputs(zero, lengths, "nothing")
    for b, n in enumerate(lengths.tolist()):
        alone, _ = runner.run_inputs(zero[b : b + 1, :n], lengths[b : b + 1], "nothing")
        assert torch.equal(alone.top[0], together.top[b, :n])
        assert all(torch.equal(other[b], found[0][b]) for other in found[1:])


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_a_state_goes_in_and_comes_out(tiny_checkpoint: Callable[..., Checkpoint], programs: Path, cell: str) -> None:
    predictor = Predictor(tiny_checkpoint(units=64, cell=cell), torch.device("cpu"), kernel="torch")
    runner = runner_of(predictor, CROWDED, Emulated(programs))
    lengths = torch.tensor([3, 1, 4, 2, 4, 1, 3, 2, 2])
    x = 0.3 * torch.randn(9, 4, predictor.network.embedding.size)
    h, c = torch.rand(2, 9, 64) - 0.5
    state = (h, None) if cell == "rnn" else (h, c)
    with torch.inference_mode():
        out, _, last = runner.layers[0].run(x, lengths, 0, runner.limits, runner.launch, state)
    weights = predictor.network.encoder.recurrence(0, "forward").weights.to(torch.float64)
    for b, n in enumerate(lengths.tolist()):
        hidden, cell_state = h[b : b + 1].double(), c[b : b + 1].double()
        for t in range(n):
            x_t = x[b : b + 1, t].double()
            if cell == "rnn":
                hidden = rnn_step(x_t, hidden, weights)
            else:
                hidden, cell_state = lstm_step(x_t, (hidden, cell_state), weights)[:2]
            assert (out[b, t, 0] - hidden[0]).abs().max() < CLOSE
        if cell == "lstm":
            assert (last[0, b] - cell_state[0]).abs().max() < 2 * CLOSE


def test_padding_is_not_touched(tiny_checkpoint: Callable[..., Checkpoint], programs: Path) -> None:
    predictor = Predictor(tiny_checkpoint(units=64, directions=BOTH), torch.device("cpu"), kernel="torch")
    lengths, x = torch.tensor([1, 5, 3]), torch.randn(3, 5, predictor.network.embedding.size)
    _, activations = runner_of(predictor, CROWDED, Emulated(programs)).run_inputs(x, lengths, "everything")
    assert activations is not None
    for recorded in activations[0]:
        for values in recorded.values():
            assert all((values[b, n:] == 0).all() for b, n in enumerate(lengths.tolist()))


def test_more_units_than_fit_and_older_cards_are_refused(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    predictor = Predictor(tiny_checkpoint(units=64), torch.device("cpu"), kernel="torch")
    replay = TorchRunner(predictor.network, torch.device("cpu"))
    with pytest.raises(KernelUnavailable, match="sm_75"):
        CudaRunner(replay, Limits((7, 5), 40, 64 << 10), lambda *_: None)
    assert cluster_of(257, (9, 0)) is None
