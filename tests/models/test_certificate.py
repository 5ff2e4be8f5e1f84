"""The certificate is small on what is true and large on what is only self-consistent."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from models.cells import CellWeights
from models.certificate import STEPS, chosen_timesteps, recurrence_error
from models.checkpoint import Checkpoint
from models.features import batch_ids, text_ids
from models.text import characters

TEXT = "酒店不错，服务很好。我想吃汉堡"


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_permuted_weights_are_found_out_though_the_identities_hold(
    tiny_checkpoint: Callable[..., Checkpoint], cell: str
) -> None:
    network = tiny_checkpoint(cell=cell).network
    tokens = characters(TEXT)
    with torch.inference_mode():
        run = network.run(batch_ids([text_ids(network.architecture.features, tokens)]), torch.tensor([len(tokens)]))
        shown = {k: v[0] for k, v in network.encoder.activations(run)[0][0].items()}
    weights = network.encoder.recurrence(0, "forward").weights.to(torch.float64)
    x, every = run.inputs[0][0], np.arange(len(tokens))
    assert recurrence_error(cell, weights, x, shown, "forward", every) < 1e-6  # type: ignore[arg-type]
    rolled = CellWeights(weights.weight_ih, weights.weight_hh.roll(1, 0), weights.bias_ih, weights.bias_hh)
    assert recurrence_error(cell, rolled, x, shown, "forward", every) > 1e-2  # type: ignore[arg-type]
    for name in set(shown) & {"hidden_state", "cell_state", "input_gate", "forget_gate", "cell_gate", "output_gate"}:
        wrong = {**shown, name: shown[name] + 1e-3}
        assert recurrence_error(cell, weights, x, wrong, "forward", every) > 1e-4, name  # type: ignore[arg-type]
    assert recurrence_error(cell, weights, x, shown, "reverse", every) > 1e-3  # type: ignore[arg-type]


def test_the_steps_follow_from_the_text_and_are_eight_at_most() -> None:
    assert chosen_timesteps("ab", 5, 0, "forward").tolist() == [0, 1, 2, 3, 4]
    steps = chosen_timesteps("a long text", 500, 0, "forward")
    assert len(set(steps.tolist())) == STEPS
    assert steps.tolist() == chosen_timesteps("a long text", 500, 0, "forward").tolist()
    assert steps.tolist() != chosen_timesteps("another text", 500, 0, "forward").tolist()
    assert steps.tolist() != chosen_timesteps("a long text", 500, 1, "forward").tolist()
