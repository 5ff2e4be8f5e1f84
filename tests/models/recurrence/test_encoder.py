"""Gates equal a float64 step loop over cells x layers x directions x ragged batches; padding has no effect."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from models.checkpoint.checkpoint import Checkpoint
from models.inference.inspection import Inspection
from models.inference.predictor import Predictor
from models.recurrence.layer import flip
from models.text.features import batch_ids, text_ids
from models.text.tokenizers import characters

from ...oracles import logits, step_loop

TEXTS = ["我想吃汉堡", "好", "酒店不错，服务很好。" * 3, "北京"]
SHAPES = [
    {"cell": cell, "layers": layers, "directions": directions}
    for cell in ("rnn", "lstm")
    for layers in (1, 2, 3)
    for directions in (("forward",), ("forward", "reverse"))
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"{s['cell']}-{s['layers']}-{len(s['directions'])}")
def test_replayed_gates_equal_the_step_loop(
    tiny_checkpoint: Callable[..., Checkpoint], shape: dict[str, object]
) -> None:
    predictor = Predictor(tiny_checkpoint(**shape), torch.device("cpu"))
    for text, prediction in zip(TEXTS, predictor.predict(TEXTS, Inspection()), strict=True):
        ids = predictor.prepare(text).ids
        want = step_loop(predictor.network, ids)
        assert prediction.inside is not None
        assert set(prediction.inside.tensors) == set(want)
        for name, values in prediction.inside.tensors.items():
            assert values.shape == want[name].shape
            assert np.abs(values - want[name]).max() < 1e-5, name
        assert prediction.inside.certificate.recurrence_max_abs_error < 2e-6 * max(
            1, np.abs(want.get("cell_state", 0)).max()
        )
        assert np.abs(prediction.logits - logits(predictor.network, ids)).max() < 2e-5


def test_preactivations_are_what_the_gates_come_from(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    predictor = Predictor(tiny_checkpoint(), torch.device("cpu"))
    inside = predictor.predict(TEXTS[2:3], Inspection(preactivations=True))[0].inside
    assert inside is not None
    for name in ("input_gate", "forget_gate", "output_gate"):
        assert np.abs(1 / (1 + np.exp(-inside.tensors[f"{name}_preactivation"])) - inside.tensors[name]).max() < 1e-6
    assert np.abs(np.tanh(inside.tensors["cell_gate_preactivation"]) - inside.tensors["cell_gate"]).max() < 1e-6


@pytest.mark.parametrize("shape", SHAPES[2:4] + SHAPES[8:10], ids=lambda s: f"{s['cell']}-{len(s['directions'])}")
def test_padding_never_changes_a_state(tiny_checkpoint: Callable[..., Checkpoint], shape: dict[str, object]) -> None:
    network = tiny_checkpoint(**shape).network
    features = network.architecture.features
    ids = batch_ids([text_ids(features, characters(t)) for t in TEXTS])
    lengths = torch.tensor([len(characters(t)) for t in TEXTS])
    other = {k: v.clone() for k, v in ids.items()}
    for row, n in enumerate(lengths):
        for kind in other:
            other[kind][row, n:] = 2
    with torch.inference_mode():
        a, b = network.run(ids, lengths), network.run(other, lengths)
        layers = zip(network.encoder.activations(a), network.encoder.activations(b), strict=True)
        for layer, (directions_a, directions_b) in enumerate(layers):
            for x, y in zip(directions_a, directions_b, strict=True):
                for name in x:
                    for row, n in enumerate(lengths):
                        assert torch.equal(x[name][row, :n], y[name][row, :n]), (layer, name)


def test_flip_is_its_own_inverse_and_leaves_padding_in_place() -> None:
    x = torch.arange(12).view(2, 6, 1).float()
    lengths = torch.tensor([4, 6])
    assert flip(x, lengths)[0, :, 0].tolist() == [3, 2, 1, 0, 4, 5]
    assert torch.equal(flip(flip(x, lengths), lengths), x)


def test_reverse_direction_is_in_reading_order(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    """Its state at the last token depends on that token only; at the first token it depends on the whole text."""
    predictor = Predictor(tiny_checkpoint(directions=("forward", "reverse")), torch.device("cpu"))
    first, second = (
        p.inside for p in predictor.predict(["我想吃汉堡", "好想吃汉堡"], Inspection(tensors=("hidden_state",)))
    )
    assert first is not None
    assert second is not None
    a, b = first.tensors["hidden_state"][0], second.tensors["hidden_state"][0]
    assert np.abs(a[1, 2:] - b[1, 2:]).max() < 1e-6
    assert np.abs(a[1, 0] - b[1, 0]).max() > 1e-3
    assert np.abs(a[0, 4] - b[0, 4]).max() > 1e-6
