"""The certificate is small for true activations and large for activations that are only self-consistent."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.checkpoint.checkpoint import Checkpoint, load_checkpoint
from models.inference.predictor import Predictor
from models.recurrence.cells import TENSORS, Cell, CellWeights
from models.recurrence.certificate import STEPS, chosen_timesteps, recurrence_error
from models.recurrence.certificates import checked_timesteps, recurrence_errors
from models.recurrence.layer import Direction
from models.runtime.cpu.kernel import Kernel, available
from models.text.features import batch_ids, text_ids
from models.text.tokenizers import characters

TEXT = "酒店不错，服务很好。我想吃汉堡"


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_permuted_weights_are_found_out_though_the_identities_hold(
    tiny_checkpoint: Callable[..., Checkpoint], cell: str
) -> None:
    network = tiny_checkpoint(cell=cell).network
    tokens = characters(TEXT)
    with torch.inference_mode():
        run = network.run(batch_ids([text_ids(network.architecture.features, tokens)]), torch.tensor([len(tokens)]))
        activations = {k: v[0].numpy() for k, v in network.encoder.activations(run)[0][0].items()}
    weights = network.encoder.recurrence(0, "forward").weights.to(torch.float64)
    x, every = run.inputs[0][0].numpy(), np.arange(len(tokens))
    assert recurrence_error(cell, weights, x, activations, "forward", every) < 1e-6  # type: ignore[arg-type]
    rolled = CellWeights(weights.weight_ih, weights.weight_hh.roll(1, 0), weights.bias_ih, weights.bias_hh)
    assert recurrence_error(cell, rolled, x, activations, "forward", every) > 1e-2  # type: ignore[arg-type]
    for name in set(activations) & {
        "hidden_state",
        "cell_state",
        "input_gate",
        "forget_gate",
        "cell_gate",
        "output_gate",
    }:
        wrong = {**activations, name: activations[name] + 1e-3}
        assert recurrence_error(cell, weights, x, wrong, "forward", every) > 1e-4, name  # type: ignore[arg-type]
    assert recurrence_error(cell, weights, x, activations, "reverse", every) > 1e-3  # type: ignore[arg-type]


@pytest.mark.parametrize("kernel", available(), ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("units", [1, 7, 16, 65])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_the_kernel_finds_the_same_error_as_the_equations(
    kernel: Kernel, units: int, direction: Direction, cell: Cell
) -> None:
    """On random numbers, so that every value has an error of its own."""
    random, gates, depth, time = np.random.default_rng(units), 4 if cell == "lstm" else 1, 5, 11
    weights = CellWeights(*(torch.randn(gates * units, *n) for n in ((depth,), (units,), (), ())))
    activations = {name: random.normal(size=(time, units)).astype(np.float32) for name in TENSORS[cell]}

    def check(x: NDArray[np.float32], timesteps: NDArray[np.int64]) -> float:
        return kernel.check(gates, direction == "reverse", weights, x, list(activations.values()), timesteps)

    for timesteps in (np.array([0, 3, 10]), np.arange(STEPS), np.array([], np.int64)):
        x = random.normal(size=(len(timesteps), depth)).astype(np.float32)
        found = check(x, timesteps)
        if len(timesteps):
            wide = {name: values.astype(np.float64) for name, values in activations.items()}
            want = recurrence_error(cell, weights.to(torch.float64), x, wide, direction, timesteps)
            assert found == pytest.approx(want, rel=1e-13)
    activations["hidden_state"][4, units // 2] = np.nan
    assert check(x, timesteps) == (np.inf if cell == "lstm" else 0)  # no step is checked; an LSTM's identities are
    assert check(np.zeros((1, depth), np.float32), np.array([4])) == np.inf


def test_the_steps_follow_from_the_text_and_are_eight_at_most() -> None:
    assert chosen_timesteps("ab", 5, 0, "forward").tolist() == [0, 1, 2, 3, 4]
    steps = chosen_timesteps("a long text", 500, 0, "forward")
    assert len(set(steps.tolist())) == STEPS
    assert steps.tolist() == chosen_timesteps("a long text", 500, 0, "forward").tolist()
    assert steps.tolist() != chosen_timesteps("another text", 500, 0, "forward").tolist()
    assert steps.tolist() != chosen_timesteps("a long text", 500, 1, "forward").tolist()


@pytest.mark.parametrize("name", ["tiny-zh-rnn", "tiny-zh-lstm", "tiny-en-bilstm"])
def test_a_batchs_certificates_are_each_texts_own(name: str, weights_dir: Path) -> None:
    """And one changed value is seen in its own text alone: at a checked step, and of an LSTM's cell at any step."""
    predictor = Predictor(load_checkpoint(weights_dir / name), torch.device("cpu"), kernel="torch")
    texts = [predictor.prepare(text) for text in ("我想 a b", "the service was good " * 5, "c d e f g h i j k l m n")]
    lengths = [len(text) for text in texts]
    run, activations = predictor.forward(texts, "everything")
    assert activations is not None
    for layer, by_direction in enumerate(activations):
        for d, direction in enumerate(predictor.network.encoder.directions):
            recurrence = predictor.network.encoder.recurrence(layer, direction)
            steps = checked_timesteps([t.text for t in texts], lengths, layer, direction)
            recorded, x = {k: v.clone() for k, v in by_direction[d].items()}, run.inputs[layer]
            errors = recurrence_errors(recurrence, x, recorded, run.lengths, steps)
            for b, (text, n) in enumerate(zip(texts, lengths, strict=True)):
                chosen = chosen_timesteps(text.text, n, layer, direction)
                own = {k: v[b, :n].numpy() for k, v in recorded.items()}
                want = predictor.runner.recurrence_error(layer, direction, x[b, chosen].numpy(), own, chosen)
                assert errors[b] == pytest.approx(want, abs=3e-7)
                assert errors[b] < 1e-5
            recorded["hidden_state"][1, steps[1, 3], 2] += 1e-3
            seen = recurrence_errors(recurrence, x, recorded, run.lengths, steps)
            assert seen[1] > 5e-4
            assert torch.equal(seen[[0, 2]], errors[[0, 2]])
            if recurrence.cell == "lstm":
                recorded["cell_state"][2, 5, 1] = float("nan")
                assert recurrence_errors(recurrence, x, recorded, run.lengths, steps)[2] == float("inf")
