"""What teachers say stands beside the labels, is learnt by its share, and is asked of fitting models alone."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.checkpoint.checkpoint import load_checkpoint
from models.errors import TrainingError
from models.inference.predictor import Predictor
from models.training.batches import Batch
from models.training.calibration import log_probabilities
from models.training.corpora import LabelledText
from models.training.data import Corpus, prepare
from models.training.predicted import predict_examples
from models.training.recipe import Noise, Recipe
from models.training.teachers import ask_teachers, read_teacher
from models.training.train import Trainer
from service.cli.main import main

from ...conftest import LABELS

CPU = torch.device("cpu")
TEACHERS = ("tiny-zh-lstm", "tiny-zh-pooled")
CHOICES: dict[str, Any] = {
    "name": "m",
    "task": "text-classification",
    "language": "zh",
    "units": 12,
    "token_dimension": 12,
    "learning_rate": 0.03,
    "average": 0.9,
    "unknown_rate": 0.0,
    "input_dropout": 0.0,
    "head_dropout": 0.0,
}
TEXTS = [a + b + c for a in "酒店服务" for b in "很不太一" for c in "好差贵远"]


def rows_at(path: Path, texts: list[str], labels: tuple[str, ...] = LABELS["text-classification"]) -> Path:
    """The labels in turn: of the text they say nothing."""
    rows = [{"text": text, "label": labels[i % len(labels)]} for i, text in enumerate(texts)]
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return path


def asked(weights_dir: Path, data: Path, *teachers: str, **choices: Any) -> Corpus:
    recipe = Recipe(**{**CHOICES, **choices})
    return ask_teachers(prepare(recipe, data, data), [read_teacher(weights_dir / name) for name in teachers], CPU)


def test_a_row_has_the_mean_of_what_the_service_answers(weights_dir: Path, tmp_path: Path) -> None:
    corpus = asked(weights_dir, rows_at(tmp_path / "rows.jsonl", TEXTS), *TEACHERS)
    answers = [Predictor(load_checkpoint(weights_dir / name), CPU).predict(TEXTS) for name in TEACHERS]
    for row, *said in zip(corpus.train[0].rows, *answers, strict=True):
        mean = {label: np.mean([dict(a.scores)[label] for a in said]) for label in corpus.labels}
        assert row.taught == pytest.approx([mean[label] for label in corpus.labels], abs=1e-5)


def test_a_text_in_which_a_teacher_finds_no_token_has_none(weights_dir: Path, tmp_path: Path) -> None:
    data = rows_at(tmp_path / "rows.jsonl", TEXTS[:3])
    recipe = Recipe(**CHOICES)
    corpus = prepare(recipe, data, data)
    rows = [*corpus.train[0].rows, LabelledText("\u3000", "negative")]
    corpus = replace(corpus, train=(replace(corpus.train[0], rows=rows),))
    corpus = ask_teachers(corpus, [read_teacher(weights_dir / TEACHERS[0])], CPU)
    assert [row.taught is None for row in corpus.train[0].rows] == [False, False, False, True]  # type: ignore[union-attr]


def test_noise_keeps_it_and_dev_has_none(weights_dir: Path, tmp_path: Path) -> None:
    noise = Noise(put_in=0.5, wrapped=0.5, ends=0.5, upper=0.5)
    corpus = asked(weights_dir, rows_at(tmp_path / "rows.jsonl", TEXTS), *TEACHERS, noise=noise)
    examples = corpus.examples(0, np.random.default_rng(1))
    assert all(example.taught is not None and example.taught.sum() == pytest.approx(1) for example in examples)
    assert all(example.taught is None for example in corpus.dev)


def test_texts_without_a_label_have_none(weights_dir: Path, tmp_path: Path) -> None:
    data, other = rows_at(tmp_path / "rows.jsonl", TEXTS), rows_at(tmp_path / "other.jsonl", TEXTS[:5])
    recipe = Recipe(**CHOICES, files={"other.jsonl": {"neutral": True}})
    corpus = ask_teachers(prepare(recipe, data, data, [other]), [read_teacher(weights_dir / TEACHERS[0])], CPU)
    assert {row.taught for row in corpus.extra[0].rows} == {None}  # type: ignore[union-attr]


@pytest.mark.parametrize("balance", [False, True])
def test_the_loss_is_a_share_of_each(weights_dir: Path, tmp_path: Path, balance: bool) -> None:
    """Against the sums written out in float64; the third row has no teacher's answer, the fourth no label.

    The file's frequencies are taken off what is asked of the labels, and not off what is asked of the teachers.
    """
    data = rows_at(tmp_path / "rows.jsonl", TEXTS[:5])
    recipe = Recipe(**CHOICES, teacher_share=0.7, label_smoothing=0.1, balance=balance)
    trainer = Trainer(recipe, prepare(recipe, data, data), CPU)
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3], [-1.0, 1.0, 0.0], [3.0, 0.0, 0.0]])
    targets = torch.tensor([0, 2, 1, -1])
    taught = torch.tensor([[0.2, 0.3, 0.5], [0.9, 0.05, 0.05], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    offsets = torch.tensor([[0.5, -0.5, 0.0], [0.5, -0.5, 0.0], [0.5, -0.5, 0.0], [0.0, 0.0, 0.0]])
    logs, shifted = (
        (x.double() - x.double().exp().sum(1, keepdim=True).log()).numpy() for x in (logits, logits + offsets)
    )
    weights = np.ones(3) if trainer.class_weights is None else trainer.class_weights.double().numpy()
    expected = 0.0
    for i, (label, share) in enumerate([(0, 0.7), (2, 0.7), (1, 0.0)]):
        own = -0.9 * weights[label] * shifted[i, label] - 0.1 / 3 * (weights * shifted[i]).sum()
        expected += (1 - share) * own - share * weights[label] * (taught[i].double().numpy() * logs[i]).sum()
    expected -= (trainer.prior.double().numpy() * logs[3]).sum()
    expected /= weights[0] + weights[2] + weights[1] + 1
    batch = Batch({}, torch.ones(4), targets, offsets=offsets, taught=taught)
    assert float(trainer._classes_loss(logits, batch)) == pytest.approx(expected, abs=1e-5)


def test_a_network_learns_what_its_teacher_says_where_labels_are_noise(weights_dir: Path, tmp_path: Path) -> None:
    data, apart = rows_at(tmp_path / "rows.jsonl", TEXTS), {}
    for share in (0.0, 0.99):
        corpus = asked(weights_dir, data, TEACHERS[0], epochs=60, patience=60, teacher_share=share)
        said = np.array([row.taught for row in corpus.train[0].rows])  # type: ignore[union-attr]
        assert said.std(axis=0).max() > 0.03
        trainer = Trainer(corpus.recipe, corpus, CPU)
        trainer.run()
        trainer.network.load_state_dict(trainer.average)  # of the last epoch: dev's labels choose one by chance
        dev = predict_examples(trainer.runner, corpus.dev)
        apart[share] = np.abs(np.exp(log_probabilities(dev, 1.0)) - said).mean()
    assert apart[0.99] < 0.01 < 0.1 < apart[0.0], apart


def test_models_that_cannot_teach_are_refused(weights_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="tiny-zh-ner-lstm is a tagger"):
        read_teacher(weights_dir / "tiny-zh-ner-lstm")
    others = rows_at(tmp_path / "others.jsonl", TEXTS, ("bad", "good"))
    with pytest.raises(TrainingError, match="answers negative, neutral, positive; the training rows have bad, good"):
        asked(weights_dir, others, *TEACHERS)


def test_the_card_tells_the_teachers_and_a_run_goes_on_with_the_same_alone(
    weights_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO")
    data = str(rows_at(tmp_path / "rows.jsonl", TEXTS))
    usual = [f"--{k.replace('_', '-')}={v}" for k, v in CHOICES.items()]
    command = ["train", *usual, "--train", data, "--dev", data, "--epochs=3", "--teacher"]
    one, other = (str(weights_dir / name) for name in TEACHERS)
    assert main([*command, one, other]) == 0
    card = (tmp_path / "weights/m/card.md").read_text("utf-8")
    section = card[card.index("### Its teachers") : card.index("## Figures on dev")]
    assert [line.split("/")[-1] for line in section.splitlines() if line.endswith(":")] == [f"{t}:" for t in TEACHERS]
    assert main([*command, one, "--replace", "--epochs=4"]) == 0
    assert "other data" in caplog.text
