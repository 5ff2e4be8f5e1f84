"""What an epoch reads: weights by file, kinds that were not annotated, texts without a label, class priors."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from models.errors import TrainingError
from models.network.spans import bio_tags
from models.training.batches import collate
from models.training.data import Corpus, prepare
from models.training.recipe import Noise, Recipe, Source
from models.training.train import Trainer

NER: dict[str, Any] = {
    "name": "m",
    "task": "token-classification",
    "language": "en",
    "units": 4,
    "token_dimension": 4,
    "token_min_count": 1,
    "extra_epochs": 3,
    "epochs": 3,
}
NEWS = "Anna B-PER\nlives O\nin O\nRome B-LOC\n\nCup B-MISC\nwon O\n\n"
WEB = "Tom B-PER\nlikes O\nJazz O\n\nParis B-LOC\n\nok O\n\nyes O\n\n"


def tagged(folder: Path, **recipe: Any) -> Corpus:
    for name, text in (("news.bio", NEWS), ("web.bio", WEB)):
        (folder / name).write_text(text, "utf-8")
    return prepare(Recipe(**{**NER, **recipe}), folder / "news.bio", folder / "news.bio", [folder / "web.bio"])


def labelled(folder: Path, extra: dict[str, int], **recipe: Any) -> Corpus:
    rows = {"train.jsonl": {"a": 6, "b": 2}, "extra.jsonl": extra}
    for name, counts in rows.items():
        lines = [json.dumps({"text": f"{k} text", "label": k}) + "\n" for k, n in counts.items() for _ in range(n)]
        (folder / name).write_text("".join(lines), "utf-8")
    changes = {"task": "text-classification", **recipe}
    return prepare(
        Recipe(**{**NER, **changes}), folder / "train.jsonl", folder / "train.jsonl", [folder / "extra.jsonl"]
    )


@pytest.mark.parametrize(("weight", "rows"), [(1.0, 4), (0.5, 2), (2.0, 8), (1.25, 5)])
def test_each_row_of_a_file_is_read_as_often_as_its_weight(tmp_path: Path, weight: float, rows: int) -> None:
    corpus = tagged(tmp_path, files={"web.bio": Source(weight=weight)})
    assert len(corpus.examples(0, np.random.default_rng(1))) == corpus.rows(0) == 2 + rows


def test_an_even_file_has_as_many_of_each_label_at_every_length(tmp_path: Path) -> None:
    """Short rows are mostly bad and long ones mostly good, so that length alone would tell; and each epoch draws anew."""
    labelled(tmp_path, {"a": 1}, files={})
    rows = [
        (label, n, k)
        for label, n, count in (("a", 5, 9), ("b", 5, 3), ("a", 40, 2), ("b", 40, 8))
        for k in range(count)
    ]
    rows.append(("a", 500, 0))  # no b is as long
    text = "".join(json.dumps({"text": f"{label}{k}".ljust(n, "x"), "label": label}) + "\n" for label, n, k in rows)
    (tmp_path / "extra.jsonl").write_text(text, "utf-8")
    files = [tmp_path / "train.jsonl", tmp_path / "train.jsonl", [tmp_path / "extra.jsonl"]]
    recipe = Recipe(**{**NER, "task": "text-classification", "files": {"extra.jsonl": Source(even=True)}})
    part = prepare(recipe, *files).extra[0]  # type: ignore[arg-type]
    drawn = [part.drawn(np.random.default_rng(seed)) for seed in (1, 2)]
    for found in drawn:
        assert Counter((row.text[0], len(row.text)) for row in found) == dict.fromkeys(
            [("a", 5), ("b", 5)], 3
        ) | dict.fromkeys([("a", 40), ("b", 40)], 2)
        assert len({row.text for row in found}) == 10
    assert drawn[0] != drawn[1]
    half = prepare(recipe.model_copy(update={"files": {"extra.jsonl": Source(even=True, weight=0.5)}}), *files)  # type: ignore[arg-type]
    assert half.rows(0) - 8 == 5
    with pytest.raises(ValidationError, match="even is for"):
        Recipe(**{**NER, "files": {"extra.jsonl": Source(even=True)}})


def test_a_file_is_read_in_its_epochs_alone(tmp_path: Path) -> None:
    corpus = tagged(tmp_path, files={"web.bio": Source(epochs=1)})
    assert [corpus.rows(epoch) for epoch in range(3)] == [6, 2, 2]
    corpus = tagged(tmp_path, extra_epochs=2)
    assert [corpus.rows(epoch) for epoch in range(3)] == [6, 6, 2]


def test_a_file_of_which_the_recipe_speaks_has_to_be_there(tmp_path: Path) -> None:
    assert tagged(tmp_path, files={f"{tmp_path.name}/web.bio": Source(weight=2.0)}).rows(0) == 10
    with pytest.raises(TrainingError, match=r"other\.bio"):
        tagged(tmp_path, files={"other.bio": Source()})


def test_where_a_kind_was_not_annotated_o_may_be_of_it(tmp_path: Path) -> None:
    corpus = tagged(tmp_path, files={"web.bio": Source(without=("MISC",))})
    tags = bio_tags(corpus.labels)
    tom, anna = corpus.examples(0, np.random.default_rng(1))[2], corpus.examples(0, np.random.default_rng(1))[0]
    assert tom.allowed is not None
    assert [{tags[k] for k in np.flatnonzero(row)} for row in tom.allowed] == [
        {"B-PER"},
        {"O", "B-MISC", "I-MISC"},
        {"O", "B-MISC", "I-MISC"},
    ]
    batch = collate([tom, anna])
    assert batch.allowed is not None
    assert batch.allowed[1].sum(1).tolist() == [1, 1, 1, 1]
    assert batch.allowed[1].int().argmax(1).tolist() == anna.target.tolist()


def test_texts_of_a_neutral_file_pull_towards_the_prior(tmp_path: Path) -> None:
    corpus = labelled(tmp_path, {"a": 3}, files={"extra.jsonl": Source(neutral=True)}, noise=Noise(nothing=0.25))
    examples = corpus.examples(0, np.random.default_rng(1))
    assert [int(e.target) for e in examples].count(-1) == 3 + round(0.25 * 11)
    assert len(examples) == corpus.rows(0)
    assert corpus.prior.tolist() == pytest.approx([0.7, 0.3])
    trainer = Trainer(corpus.recipe, corpus, torch.device("cpu"))
    trainer.network.eval()
    head = trainer.network.head
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor(corpus.prior).log())
        batch = collate([e for e in examples if int(e.target) == -1])
        at_prior = float(trainer._loss(batch))
        for shift in (-1.0, 1.0):
            head.bias[0] += shift
            assert float(trainer._loss(batch)) > at_prior
            head.bias[0] -= shift


def test_a_file_that_shifts_the_priors_has_them_taken_off_its_logits(tmp_path: Path) -> None:
    corpus = labelled(tmp_path, {"a": 1, "b": 15}, adjust_priors=True)
    offsets = [e.offset for e in corpus.examples(0, np.random.default_rng(1))]
    assert offsets[0] is not None
    assert offsets[-1] is not None
    assert offsets[0].tolist() == pytest.approx([0, 0])
    assert offsets[-1].tolist() == pytest.approx([np.log((2 / 18) / (7 / 10)), np.log((16 / 18) / (3 / 10))], abs=1e-6)
    neutral = labelled(tmp_path, {"a": 1}, adjust_priors=True, files={"extra.jsonl": Source(neutral=True)})
    examples = neutral.examples(0, np.random.default_rng(1))
    assert examples[-1].offset is None
    offsets = collate(examples[-2:]).offsets
    assert offsets is not None
    assert offsets.tolist() == [[0, 0], [0, 0]]
    assert collate(examples[-1:]).offsets is None
