"""It learns, it resumes to the bit, and it refuses what it cannot train on."""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.checkpoint.checkpoint import load_checkpoint
from models.errors import RecipeError, TrainingError
from models.network.crf import FORBIDDEN
from models.network.network import Tagger
from models.training.batches import Example
from models.training.calibration import (
    divide_scores,
    label_biases,
    log_probabilities,
    tagger_temperature,
    temperature,
)
from models.training.data import prepare, static_vectors
from models.training.metrics import accuracy, by_length, differing, f1, macro_f1
from models.training.predicted import Predicted, batches_of_outputs, predict_examples
from models.training.produce import Files, produce
from models.training.recipe import Recipe, read_recipe
from models.training.train import Trainer

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "name": "m",
    "task": "text-classification",
    "language": "zh",
    "units": 8,
    "token_dimension": 8,
    "epochs": 6,
    "learning_rate": 0.03,
    "batch_size": 8,
    "average": 0.9,
    "unknown_rate": 0.0,
    "input_dropout": 0.1,
}


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    rows = [
        {"text": f"{a}{c}{'啊' * (i % 5)}", "label": label}
        for i in range(12)
        for label, chars in (("yes", "好棒"), ("no", "差坏"))
        for a in chars
        for c in "酒店"
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return path


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    sentence = (
        "我 O\n在 O\n北 B-LOC\n京 I-LOC\n见 O\n王 B-PER\n明 I-PER\n\n王 B-PER\n明 I-PER\n去 O\n北 B-LOC\n京 I-LOC\n\n"
    )
    path = tmp_path / "rows.bio"
    path.write_text(sentence * 20, "utf-8")
    return path


def trained(recipe: Recipe, data: Path, state: Path | None = None, progress: Any = None) -> Trainer:
    trainer = Trainer(recipe, prepare(recipe, data, data), CPU, state)
    trainer.run(progress) if progress else trainer.run()
    return trainer


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_a_classifier_learns_and_its_folder_is_served(labelled: Path, tmp_path: Path, cell: str) -> None:
    recipe = Recipe(**{**SMALL, "cell": cell})
    files = Files(labelled, labelled, tmp_path / "weights")
    checkpoint = produce(recipe, files, CPU, "the command")
    assert checkpoint.manifest.metrics["accuracy"] > 0.95
    again = load_checkpoint(tmp_path / "weights/m")
    assert again.weights_sha256 == checkpoint.weights_sha256
    with pytest.raises(TrainingError, match="--replace"):
        produce(recipe, files, CPU, "the command")


def test_a_tagger_learns(tagged: Path, tmp_path: Path) -> None:
    recipe = Recipe(**{**SMALL, "task": "token-classification", "bidirectional": True})
    checkpoint = produce(recipe, Files(tagged, tagged, tmp_path / "weights"), CPU, "the command")
    assert checkpoint.manifest.metrics["f1"] > 0.95
    assert checkpoint.labels == ("LOC", "PER")


def test_a_bias_towards_o_makes_entities_fewer(tagged: Path) -> None:
    found = []
    for bias in (0.0, 0.5, 5.0):
        recipe = Recipe(**{**SMALL, "task": "token-classification", "epochs": 2, "outside_bias": bias})
        trainer = Trainer(recipe, prepare(recipe, tagged, tagged), CPU)
        found.append(sum(int((path > 0).sum()) for path in trainer.run().dev.paths))
    assert found[0] >= found[1] >= found[2]
    assert found[2] < found[0]


def test_a_taggers_temperature_is_found_and_its_paths_stay(tagged: Path) -> None:
    """Tags are drawn from the model itself, whose scores are then right; sharper by 1.6 they want to be divided by it."""
    recipe = Recipe(**{**SMALL, "task": "token-classification"})
    trainer = Trainer(recipe, prepare(recipe, tagged, tagged), CPU)
    network, runner, labels = trainer.network, trainer.runner, trainer.corpus.labels
    assert isinstance(network, Tagger)
    network.eval()
    with torch.no_grad():
        network.head.weight.mul_(6)
    drawn = drawn_tags(trainer, 1500)
    assert tagger_temperature(runner, network, drawn, labels) == pytest.approx(1, rel=0.13)
    paths = predict_examples(runner, drawn).paths
    divide_scores(network, 1 / 1.6)
    assert tagger_temperature(runner, network, drawn, labels) == pytest.approx(1.6, rel=0.13)
    for path, other in zip(paths, predict_examples(runner, drawn).paths, strict=True):
        np.testing.assert_array_equal(path, other)
    assert float(network.crf.transitions.detach().min()) == FORBIDDEN


@torch.no_grad()
def drawn_tags(trainer: Trainer, count: int) -> list[Example]:
    """The texts of dev again and again, with tags drawn by their probabilities: every path of a text is weighed."""
    network, random = trainer.network, np.random.default_rng(0)
    assert isinstance(network, Tagger)
    out = []
    for example in trainer.corpus.dev[:2]:
        ((_, batch, emissions),) = batches_of_outputs(trainer.runner, [example])
        paths = torch.cartesian_prod(*[torch.arange(emissions.shape[2])] * len(example))
        scores = network.crf.score(
            emissions.expand(len(paths), -1, -1), paths, batch.lengths.expand(len(paths))
        ).double()
        p = torch.softmax(scores, 0).numpy()
        for k in random.choice(len(paths), count // 2, p=p / p.sum()):
            out.append(dataclasses.replace(example, target=paths[k].numpy()))
    return out


class Killed(Exception):
    pass


def test_a_killed_run_goes_on_to_the_same_weights(labelled: Path, tmp_path: Path) -> None:
    recipe, state = Recipe(**{**SMALL, "unknown_rate": 0.2, "head_dropout": 0.3}), tmp_path / "state.safetensors"
    whole = trained(recipe, labelled)
    seen = 0

    def kill_in_the_third_epoch(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
        nonlocal seen
        for item in items:
            seen += 1
            if seen > 2 * total + 1:
                raise Killed
            yield item

    with pytest.raises(Killed):
        trained(recipe, labelled, state, kill_in_the_third_epoch)
    with pytest.raises(TrainingError, match="units"):
        trained(recipe.model_copy(update={"units": 9}), labelled, state)
    resumed = trained(recipe, labelled, state)
    assert resumed.curve == whole.curve
    for (name, a), b in zip(whole.network.state_dict().items(), resumed.network.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_training_stops_when_dev_no_longer_rises(labelled: Path) -> None:
    trainer = trained(Recipe(**{**SMALL, "epochs": 40, "patience": 2}), labelled)
    best = max(range(len(trainer.curve)), key=lambda i: trainer.curve[i].dev)
    assert len(trainer.curve) == best + 3


def test_static_vectors_fill_the_rows_they_cover(labelled: Path, tmp_path: Path) -> None:
    recipe = Recipe(**{**SMALL, "freeze_vectors": True, "epochs": 1})
    corpus = prepare(recipe, labelled, labelled)
    np.save(tmp_path / "v.npy", np.arange(24, dtype=np.float16).reshape(3, 8))
    (tmp_path / "forms.txt").write_text("酒\n没有\n店\n", "utf-8")
    rows, values = static_vectors(tmp_path / "v.npy", tmp_path / "forms.txt", corpus.features[0])
    vocabulary = corpus.features[0].vocabulary
    assert vocabulary is not None
    assert rows.tolist() == [vocabulary.id("酒"), vocabulary.id("店")]
    assert values[:, 0].tolist() == [0, 16]
    trainer = Trainer(recipe, corpus, CPU)
    trainer.use_vectors(tmp_path / "v.npy", tmp_path / "forms.txt")
    before = trainer.network.embedding.tables["token"].detach().clone()
    trainer.optimizer.param_groups[0]["weight_decay"] = 0.0
    trainer.run()
    after = trainer.network.embedding.tables["token"]
    assert torch.allclose(after[rows], before[rows], atol=1e-6)
    assert not torch.allclose(after[vocabulary.id("好")], before[vocabulary.id("好")], atol=1e-3)
    (tmp_path / "forms.txt").write_text("酒\n", "utf-8")
    with pytest.raises(TrainingError, match="lines"):
        static_vectors(tmp_path / "v.npy", tmp_path / "forms.txt", corpus.features[0])


def test_a_label_that_only_dev_has_is_refused(labelled: Path, tmp_path: Path) -> None:
    dev = tmp_path / "dev.jsonl"
    dev.write_text('{"text": "酒", "label": "maybe"}\n', "utf-8")
    with pytest.raises(TrainingError, match="maybe"):
        prepare(Recipe(**SMALL), labelled, dev)


def test_a_recipe_names_the_field_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text('name = "m"\ntask = "text-classification"\nlanguage = "zh"\nunits = 4\n', "utf-8")
    assert read_recipe(path, {"units": "16"}).units == 16
    for wrong in (
        {"units": 0},
        {"cell": "gru"},
        {"unit": 3},
        {"extra_epochs": 99},
        {"task": "token-classification", "reads": "mean_max"},
    ):
        with pytest.raises(RecipeError, match=next(iter(wrong)) if "reads" not in wrong else "reads"):
            read_recipe(path, wrong)


def test_metrics_equal_what_is_counted_by_hand() -> None:
    logits = np.array([[2, 0], [0, 1], [3, 0], [0, 5]], np.float32)
    said = Predicted(tuple(np.array(k) for k in (0, 1, 1, 1)), logits=logits)
    assert accuracy(said) == 0.75
    assert macro_f1(said, ("a", "b")) == pytest.approx((2 / 3 + 4 / 5) / 2)
    rows = by_length(said, [5, 15, 500, 12], ("a", "b"))
    assert [(r["from"], r["to"], r["texts"], r["figure"]) for r in rows] == [
        (1, 10, 1, 1.0),
        (11, 20, 2, 1.0),
        (321, None, 1, 0.0),
    ]
    tags = {"O": 0, "B-X": 1, "I-X": 2, "B-Y": 3, "I-Y": 4}
    gold = [np.array([tags[t] for t in ["B-X", "I-X", "O", "B-Y"]])]
    found = [np.array([tags[t] for t in ["B-X", "I-X", "B-X", "B-Y"]])]
    assert f1(Predicted(tuple(gold), paths=tuple(found)), ("X", "Y")) == pytest.approx(2 * 2 / (3 + 2))


def test_temperature_is_the_one_that_fits_best() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 3))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = [np.array(random.choice(3, p=row)) for row in p]
    assert temperature(Predicted(tuple(targets), logits=(logits * 2.5).astype(np.float32))) == pytest.approx(
        2.5, rel=0.1
    )


def test_biases_are_those_that_fit_best() -> None:
    """Drawn with known biases they are found; the loss is no less anywhere near; a label without rows stays finite."""
    random, biases = np.random.default_rng(0), np.array([0.8, 0.0, -0.8])
    logits = random.normal(size=(4000, 3))
    p = np.exp(logits + biases) / np.exp(logits + biases).sum(1, keepdims=True)
    targets = tuple(np.array(random.choice(3, p=row)) for row in p)
    seen = (logits * 2.5).astype(np.float32)
    found = label_biases(Predicted(targets, logits=seen))
    np.testing.assert_allclose(found - found.mean(), 2.5 * biases, atol=0.25)
    scale = temperature(Predicted(targets, logits=(seen + found).astype(np.float32)))
    assert scale == pytest.approx(2.5, rel=0.1)

    def loss(shift: np.ndarray) -> float:
        scores = seen / scale + shift
        chosen = scores[np.arange(len(scores)), np.array(targets)]
        return float((np.log(np.exp(scores).sum(1)) - chosen).sum() + (shift**2).sum() / 2)

    for step in np.eye(3) * 0.05:
        assert min(loss(found / scale + step), loss(found / scale - step)) > loss(found / scale)
    one_label = Predicted((np.array(0),) * 50, logits=random.normal(size=(50, 2)).astype(np.float32))
    assert 0 < (np.subtract(*label_biases(one_label))) < np.inf


def test_biases_go_to_the_head_and_lessen_the_loss_on_dev(labelled: Path, tmp_path: Path) -> None:
    """Asked for once a run is finished, they are fitted to the weights that it ended with."""
    state, dev = tmp_path / "state.safetensors", tmp_path / "dev.jsonl"
    dev.write_text("\n".join(row for i, row in enumerate(labelled.read_text("utf-8").splitlines()) if i % 8 < 5))
    ended = []
    for asked in (False, True):
        recipe = Recipe(**{**SMALL, "epochs": 1, "learning_rate": 0.005, "label_biases": asked})
        ended.append(Trainer(recipe, prepare(recipe, labelled, dev), CPU, state).run())
    plain, biased = (one.network.state_dict() for one in ended)
    assert [key for key in plain if not torch.equal(plain[key], biased[key])] == ["head.bias"]
    rows = np.arange(len(ended[0].dev.targets)), np.array(ended[0].dev.targets)
    losses = [-log_probabilities(one.dev, temperature(one.dev))[rows].mean() for one in ended]
    assert losses[1] < losses[0] - 0.01
    with pytest.raises(RecipeError, match="label_biases is for classifiers"):
        read_recipe(None, {**SMALL, "task": "token-classification", "label_biases": True})


def test_texts_that_are_answered_otherwise_are_counted() -> None:
    targets = (np.array(0), np.array(1))
    one = Predicted(targets, logits=np.array([[0.1, 0.2], [3, 1]], np.float32))
    other = Predicted(targets, logits=np.array([[0.3, 0.2], [2, 1]], np.float32))
    assert (differing(one, one), differing(one, other)) == (0, 1)
    paths = Predicted(targets, paths=(np.array([0, 1]), np.array([2])))
    assert differing(paths, Predicted(targets, paths=(np.array([0, 1]), np.array([0])))) == 1
