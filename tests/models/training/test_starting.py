"""A training that starts from a model is that model before its first step, where the two have the same labels."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint.checkpoint import Checkpoint, load_checkpoint
from models.errors import MissingFile, TrainingError
from models.network.crf import FORBIDDEN
from models.network.network import Tagger
from models.network.spans import bio_tags
from models.training.data import prepare
from models.training.recipe import Recipe, read_recipe
from models.training.starting import read_start, usual_choices
from models.training.train import Trainer

from ...conftest import LABELS, TINY

CPU = torch.device("cpu")


def data_for(path: Path, task: str, labels: tuple[str, ...]) -> Path:
    """A file with a row of each label, of words that no tiny model knows."""
    if task == "text-classification":
        rows = [json.dumps({"text": f"unheard 闻 {label}", "label": label}) for label in labels]
        path = path.with_suffix(".jsonl")
        path.write_text("\n".join(rows), "utf-8")
    else:
        path = path.with_suffix(".bio")
        path.write_text("".join(f"unheard B-{label}\n闻 O\n\n" for label in labels), "utf-8")
    return path


def started(folder: Path, data: Path, **choices: Any) -> Trainer:
    recipe = read_recipe(None, {"name": "mine", **choices}, usual_choices(folder))
    start = read_start(folder)
    corpus = prepare(recipe, data, data, (), start.vocabularies if recipe.start_forms else {})
    trainer = Trainer(recipe, corpus, CPU)
    trainer.start(start)
    return trainer


@pytest.mark.parametrize("name", TINY)
def test_it_is_the_model_it_starts_from(name: str, weights_dir: Path, tmp_path: Path) -> None:
    task = TINY[name].task
    trainer = started(weights_dir / name, data_for(tmp_path / "rows", task, LABELS[task]))
    was = load_checkpoint(weights_dir / name).network.state_dict()
    assert {key for key, value in trainer.network.state_dict().items() if not torch.equal(value, was[key])} == set()
    assert {key for key, value in trainer.average.items() if not torch.equal(value, was[key])} == set()


def test_labels_of_its_own_begin_anew_beside_those_that_both_have(weights_dir: Path, tmp_path: Path) -> None:
    """PER comes from the model, ORG is new, LOC is not asked for; the order of labels is the new model's."""
    folder = weights_dir / "tiny-zh-ner-lstm"
    trainer = started(folder, data_for(tmp_path / "rows", "token-classification", ("ORG", "PER")))
    network, was = trainer.network, load_checkpoint(folder).network
    assert isinstance(network, Tagger)
    assert isinstance(was, Tagger)
    own, others = bio_tags(trainer.corpus.labels), bio_tags(LABELS["token-classification"])
    assert own == ["O", "B-ORG", "I-ORG", "B-PER", "I-PER"]
    for i, tag in enumerate(own):
        if tag not in others:
            assert not (network.head.weight[i] == was.head.weight).all(1).any()
            continue
        j = others.index(tag)
        assert torch.equal(network.head.weight[i], was.head.weight[j])
        assert network.crf.start[i] == was.crf.start[j]
        for k, to in enumerate(own):
            if to in others:
                assert network.crf.transitions[i, k] == was.crf.transitions[j, others.index(to)]
    assert network.crf.transitions[own.index("O"), own.index("I-ORG")] == FORBIDDEN


def test_without_start_forms_it_learns_the_words_of_its_rows(weights_dir: Path, tmp_path: Path) -> None:
    """Rows of words that the model has come from it, also where they stand at another place."""
    folder, data = weights_dir / "tiny-zh-lstm", tmp_path / "rows.jsonl"
    data.write_text("\n".join(json.dumps({"text": t, "label": t[0]}) for t in ("闻酒店", "新很好", "闻不错")), "utf-8")
    trainer = started(folder, data, start_forms=False, token_min_count=1)
    new, was = trainer.network, load_checkpoint(folder).network
    own, others = (n.architecture.features[0].vocabulary for n in (new, was))
    assert own is not None
    assert others is not None
    assert "闻" in own
    assert "闻" not in others
    row = new.embedding.tables["token"][own.id("店")]
    assert torch.equal(row, was.embedding.tables["token"][others.id("店")])


def test_choices_given_win_over_the_models(weights_dir: Path, tmp_path: Path) -> None:
    toml = tmp_path / "recipe.toml"
    toml.write_text("epochs = 3\nlicense = 'ours'\n", "utf-8")
    recipe = read_recipe(toml, {"name": "mine", "learning_rate": 0.01}, usual_choices(weights_dir / "tiny-en-bilstm"))
    assert (recipe.epochs, recipe.license, recipe.learning_rate) == (3, "ours", 0.01)
    assert (recipe.layers, recipe.units, recipe.bidirectional, recipe.reads) == (2, 7, True, "mean_max")
    assert recipe.training_data.startswith("what tiny-en-bilstm was trained on (none)")


def test_what_does_not_fit_is_refused(
    weights_dir: Path, tmp_path: Path, tiny_checkpoint: Callable[..., Checkpoint]
) -> None:
    folder = weights_dir / "tiny-zh-lstm"
    data = data_for(tmp_path / "rows", "text-classification", LABELS["text-classification"])
    with pytest.raises(TrainingError, match=r"layer0.forward.weight_ih is .* they must agree"):
        started(folder, data, units=9)
    with pytest.raises(TrainingError, match=r"reads \['token', 'bigram'\], the recipe \['token'\]"):
        started(folder, data, bigram_dimension=0)
    with pytest.raises(TrainingError, match=r"head.weight is .* they must agree"):
        started(folder, data, reads="mean_max")
    tiny_checkpoint(kinds=("token", "shape", "subword"))
    with pytest.raises(TrainingError, match=r"reads \['token', 'shape', 'subword'\]"):
        started(tmp_path / "tiny", data)
    with pytest.raises(TrainingError, match="neither what `gatescope pretrain` wrote nor the folder of a model"):
        read_start(data)
    with pytest.raises(MissingFile, match=r"manifest\.json"):
        usual_choices(tmp_path)


def test_a_tagger_can_lend_a_classifier_its_reading(weights_dir: Path, tmp_path: Path) -> None:
    """The head has other outputs, so all of it is new."""
    folder = weights_dir / "tiny-zh-ner-lstm"
    data = data_for(tmp_path / "rows", "text-classification", ("bad", "good"))
    trainer = started(folder, data, task="text-classification")
    was = load_checkpoint(folder).network.state_dict()
    same = {k for k, v in trainer.network.state_dict().items() if k in was and torch.equal(v, was[k])}
    assert {k for k in was if k.startswith(("embedding", "encoder"))} <= same
    assert "head.weight" not in same
    assert isinstance(trainer.recipe, Recipe)
