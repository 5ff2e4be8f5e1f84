"""`gatescope train` and `gatescope evaluate` from files as people have them to a model, by way of kills and mistakes."""

import csv
import io
import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint.checkpoint import load_checkpoint
from models.errors import TrainingError
from models.inference.predictor import Predictor
from models.training.state import read_notes
from models.training.train import Trainer
from service.cli.main import _parser, main

ROOT = Path(__file__).parents[3]
GOOD, BAD = ("great", "fine", "lovely"), ("poor", "awful", "dull")
ROWS = [(f"{word} film, number {i % 7}", "1" if word in GOOD else "0") for i in range(20) for word in (*GOOD, *BAD)]
SMALL = shlex.split(
    "--units 8 --token-dimension 8 --epochs 4 --learning-rate 0.03 --batch-size 16 --average 0.9 --unknown-rate 0 "
    "--input-dropout 0 --layer-dropout 0 --head-dropout 0 --device cpu --name mine"
)
CLASSIFIER = ["--task", "text-classification", "--language", "en"]
TAGGER = ["--task", "token-classification", "--bidirectional", "--epochs", "12", "--language"]
SENTENCES = [
    [
        ("John", "B-PER", "I-PER", "B-PER"),
        ("Smith", "I-PER", "I-PER", "E-PER"),
        ("saw", "O", "O", "O"),
        ("London", "B-LOC", "I-LOC", "S-LOC"),
    ],
    [("Paris", "B-LOC", "I-LOC", "S-LOC"), ("met", "O", "O", "O"), ("Anna", "B-PER", "I-PER", "S-PER")],
]


def table(delimiter: str, header: list[str] | None) -> str:
    out = io.StringIO()
    rows = [(f"{text}\nand more" if i % 3 else text, label) for i, (text, label) in enumerate(ROWS)]
    csv.writer(out, delimiter=delimiter).writerows([*([header] if header else []), *rows])
    return out.getvalue()


def columns(scheme: int, width: int, separator: str = "\n") -> str:
    lines = []
    for sentence in SENTENCES * 20:
        lines += [" ".join([row[0], *["X"] * (width - 2), row[scheme]]) for row in sentence] + [""]
    return separator.join(["-DOCSTART- " + "X " * (width - 2) + "O", "", *lines])


BRACES = "".join(json.dumps({"text": text, "label": int(label)}) + "\n" for text, label in ROWS)
BMES = "王 B-PER\n小 M-PER\n明 E-PER\n在 O\n北 B-LOC\n京 E-LOC\n见 O\n李 S-PER\n\n" * 30
FILES = {
    "rows.jsonl": (BRACES, CLASSIFIER, []),
    "rows.csv": (
        "\ufeff" + table(",", ["review", "stars"]),
        CLASSIFIER,
        ["--text-column", "review", "--label-column", "stars"],
    ),
    "rows.tsv": (table("\t", None), CLASSIFIER, ["--text-column", "1", "--label-column", "2"]),
    "bio.conll": (columns(1, 2, "\r\n"), [*TAGGER, "en"], []),
    "iob1.conll": (columns(2, 4), [*TAGGER, "en"], []),
    "bioes.conll": (columns(3, 3), [*TAGGER, "en"], []),
    "rows.bmes": (BMES, [*TAGGER, "zh"], []),
}


def arguments(folder: Path, data: Path, *more: str) -> list[str]:
    places = ["--out", str(folder / "weights"), "--state-dir", str(folder / "runs")]
    return ["train", *SMALL, *places, "--train", str(data), "--dev", str(data), *more]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text(BRACES, "utf-8")
    return path


@pytest.fixture
def trained(tmp_path: Path, rows: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(arguments(tmp_path, rows, *CLASSIFIER)) == 0
    capsys.readouterr()
    return tmp_path / "weights/mine"


@pytest.mark.parametrize("name", FILES)
def test_each_form_of_a_file_trains_and_is_evaluated(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, task, layout = FILES[name]
    data = tmp_path / name
    data.write_bytes(text.encode())
    assert main(arguments(tmp_path, data, *task, *layout)) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "weights/mine"), str(data), *layout]) == 0
    out = capsys.readouterr().out
    labels = {"0", "1"} if task == CLASSIFIER else {"LOC", "PER"}
    by_label = next(part for part in out.split("\n\n") if part.startswith("label  precision"))
    scores = {line.split()[0]: line.split() for line in by_label.splitlines()[1:]}
    assert scores.keys() == labels
    assert all(float(row[3]) > 0.95 for row in scores.values()), out
    support = {"bmes": 60, "conll": 40}.get(name.split(".")[1], 60)
    assert scores[max(labels)][4] == str(support)


def test_a_killed_run_goes_on_to_the_same_model_and_then_for_more_epochs(
    tmp_path: Path, rows: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """kill -9 in the middle; the weights are those of a run that was left alone."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def command(folder: str, *more: str) -> list[str]:
        typed = arguments(tmp_path / folder, rows, *CLASSIFIER, "--epochs", "30", "--patience", "99", *more)
        return [sys.executable, "-m", "service", *typed]

    def digest(folder: str) -> str:
        return load_checkpoint(tmp_path / folder / "weights/mine").weights_sha256

    assert main(command("alone")[3:]) == 0
    run = subprocess.Popen(command("killed"), cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    state, waiting = tmp_path / "killed/runs/mine/state.safetensors", threading.Event()
    while run.poll() is None and not (state.exists() and len(read_notes(state)["curve"]) >= 2):
        waiting.wait(0.01)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed/weights/mine").exists()
    resumed = subprocess.run(command("killed"), cwd=ROOT, env=environment, capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    assert "going on after epoch" in resumed.stderr
    assert digest("killed") == digest("alone")

    caplog.set_level("INFO")
    caplog.clear()
    assert main(command("killed", "--epochs", "33", "--replace")[3:]) == 0
    assert "going on after epoch 30" in caplog.text
    assert re.findall(r"epoch (\d+): loss", caplog.text) == ["31", "32", "33"]
    assert len(read_notes(state)["curve"]) == 33


def test_a_broken_off_run_refuses_fewer_epochs_and_a_finished_one_starts_anew(
    tmp_path: Path,
    rows: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("INFO")
    whole_epoch, epochs = Trainer._epoch, []

    def stopping(self: Trainer, epoch: int, progress: Any) -> float:
        epochs.append(epoch)
        if len(epochs) == 3:
            raise TrainingError("stopped")
        return whole_epoch(self, epoch, progress)

    monkeypatch.setattr(Trainer, "_epoch", stopping)
    typed = arguments(tmp_path, rows, *CLASSIFIER, "--patience", "99")
    assert main(typed) == 2
    assert main([*typed, "--epochs", "3"]) == 2
    assert "can be raised and not lowered" in capsys.readouterr().err
    assert main([*typed, "--epochs", "6"]) == 0  # raised before it was ever finished
    assert epochs == [0, 1, 2, 2, 3, 4, 5]
    assert main([*typed, "--epochs", "6", "--units", "9", "--replace"]) == 0
    assert "starting anew" in caplog.text
    assert epochs[7:] == list(range(6))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--out", "{file}/weights"], "--out"),
        (["--state-dir", "{file}/runs"], "--state-dir"),
        (["--device", "cuda"], "--device cuda"),
        (["--dev", "{folder}/nothing"], "nothing cannot be read"),
        (["--dev", "{folder}"], "cannot be read"),
        (["--vectors", "{folder}/nothing", "{file}"], "nothing"),
        (["--recipe", "{folder}/nothing"], "nothing"),
        (["--balance", "--task", "token-classification"], "balance is for classifiers"),
        (["--tag-column", "7"], "tag_column"),
        (["--units", "many", "--epochs", "0"], "units: .*; epochs: "),
        (["--text-column", "review"], "rows.jsonl:1: .*--text-column"),
    ],
)
def test_what_cannot_work_is_said_before_the_first_epoch(
    more: list[str],
    says: str,
    tmp_path: Path,
    rows: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(Trainer, "_epoch", lambda *_: pytest.fail("it began"))
    typed = arguments(tmp_path, rows, *CLASSIFIER, *(word.format(file=rows, folder=tmp_path) for word in more))
    assert main(typed) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert re.search(says, error), error
    assert {path.name for path in tmp_path.iterdir()} == {"rows.jsonl"}


def test_a_recipe_that_lacks_or_misspells_a_field_names_it(
    tmp_path: Path, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text('task = "text-classification"\nlanguage = "en"\nunit = 3\n', "utf-8")
    assert main(["train", "--recipe", str(recipe), "--train", str(rows), "--dev", str(rows)]) == 2
    error = capsys.readouterr().err
    assert "name is missing" in error
    assert "did you mean units?" in error


def test_notices_are_given_before_the_first_epoch(tmp_path: Path, rows: Path, caplog: pytest.LogCaptureFixture) -> None:
    uneven = [(f"{GOOD[i % 3]} film {i}", "1") for i in range(99)] + [("poor film" + " and more" * 40, "0")]
    data = tmp_path / "uneven.jsonl"
    data.write_text("".join(json.dumps({"text": t, "label": y}) + "\n" for t, y in uneven), "utf-8")
    typed = [
        "train",
        *CLASSIFIER,
        *SMALL,
        "--epochs",
        "1",
        "--out",
        str(tmp_path / "w"),
        "--state-dir",
        str(tmp_path / "r"),
    ]
    assert main([*typed, "--train", str(data), "--dev", str(rows), "--max-tokens", "20"]) == 0
    assert "1 of 100 rows is longer than 20 tokens and was cut: --max-tokens" in caplog.text
    assert "the label '1' has 99 rows and '0' has 1" in caplog.text
    assert "dev texts" not in caplog.text
    caplog.clear()
    assert main([*typed, "--train", str(data), "--dev", str(data), "--balance", "--replace"]) == 0
    assert "longer" not in caplog.text
    assert "--balance" not in caplog.text
    assert "100 of 100 dev texts stand in the training rows too" in caplog.text


def test_balance_finds_a_rare_class_that_is_otherwise_never_predicted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fifth of the `grey` films is rare and no `blue` one: frequent is the better guess unless both weigh alike."""
    texts = [(f"{'grey' if i % 2 else 'blue'} film", "rare" if i % 10 == 1 else "frequent") for i in range(200)]
    lines = [json.dumps({"text": text, "label": label}) + "\n" for text, label in texts]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(lines), "utf-8")
    recalls = []
    for more in ([], ["--balance", "--replace"]):
        assert main(arguments(tmp_path, data, *CLASSIFIER, *more)) == 0
        capsys.readouterr()
        assert main(["evaluate", str(tmp_path / "weights/mine"), str(data), "--json"]) == 0
        recalls.append(json.loads(capsys.readouterr().out)["by_label"]["rare"]["recall"])
    assert recalls == [0, 1]


def test_predictions_stand_worst_first_with_the_loss_of_the_served_scores(
    tmp_path: Path, trained: Path, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = tmp_path / "more.jsonl"
    extra.write_text(BRACES + '{"text": "great film", "label": 0}\n', "utf-8")
    out = tmp_path / "answers.jsonl"
    assert main(["evaluate", str(trained), str(extra), "--predictions", str(out)]) == 0
    found = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(found) == len(ROWS) + 1
    assert (found[0]["line"], found[0]["right"], found[0]["predicted"]) == (len(ROWS) + 1, False, "1")
    assert [answer["loss"] for answer in found] == sorted((answer["loss"] for answer in found), reverse=True)
    predictor = Predictor(load_checkpoint(trained), torch.device("cpu"))
    for answer, prediction in zip(found[::17], predictor.predict([a["text"] for a in found[::17]]), strict=True):
        scores = dict(prediction.scores or ())
        assert answer["loss"] == pytest.approx(-math.log(scores[answer["label"]]), abs=1e-4)
        assert answer["score"] == pytest.approx(max(scores.values()), abs=1e-4)


def test_predictions_of_a_tagger_are_the_served_entities(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = tmp_path / "rows.conll", tmp_path / "answers.jsonl"
    data.write_text(columns(1, 2), "utf-8")
    assert main(arguments(tmp_path, data, *TAGGER, "en", "--epochs", "1")) == 0
    assert main(["evaluate", str(tmp_path / "weights/mine"), str(data), "--predictions", str(out)]) == 0
    found = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [a["loss"] for a in found] == sorted((a["loss"] for a in found), reverse=True)
    predictor = Predictor(load_checkpoint(tmp_path / "weights/mine"), torch.device("cpu"))
    for answer, prediction in zip(found[:9], predictor.predict([a["text"] for a in found[:9]]), strict=True):
        served = [
            (e.label, e.text, e.start, e.end, pytest.approx(e.score, abs=1e-4)) for e in prediction.entities or ()
        ]
        assert [tuple(entity.values()) for entity in answer["predicted"]] == served
        assert answer["right"] == ([tuple(e.values()) for e in answer["entities"]] == [entity[:4] for entity in served])


def test_evaluate_writes_a_picture_and_the_rest_as_json(
    tmp_path: Path, trained: Path, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "confusion.png"
    assert main(["evaluate", str(trained), str(rows), "--picture", str(picture), "--json"]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(capsys.readouterr().out)
    assert {
        "metrics",
        "by_label",
        "by_length",
        "mistakes",
        "calibration_error",
        "reliability",
        "influence",
    } <= found.keys()
    assert found["by_label"]["1"] == {"precision": 1, "recall": 1, "f1": 1, "support": 60}
    assert sum(b["answers"] for b in found["reliability"]) == len(ROWS)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--predictions", "{folder}/nowhere/a.jsonl"], "cannot be written"),
        (["--predictions", "{folder}/a.csv"], ".jsonl"),
        (["--picture", "{folder}/a.jpg"], ".png"),
        (["--device", "cuda"], "--device cuda"),
        (["--label-column", "stars"], "rows.jsonl:1:"),
    ],
)
def test_evaluate_says_what_cannot_work_before_it_begins(
    more: list[str],
    says: str,
    trained: Path,
    rows: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("service.cli.evaluation.measure", lambda *_: pytest.fail("it began"))
    assert main(["evaluate", str(trained), str(rows), *(word.format(folder=rows.parent) for word in more)]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert says in error


def test_a_label_that_a_model_does_not_have_is_named_with_file_and_line(
    tmp_path: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "other.csv"
    data.write_text('text,label\n"a\nb",1\nc,5\n', "utf-8")
    assert main(["evaluate", str(trained), str(data)]) == 2
    assert "other.csv:4: found the label '5': mine has 0, 1" in capsys.readouterr().err


def test_the_card_has_the_command_that_was_typed_and_a_table_of_many_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "rows.csv"
    lines = [f"word{k} film,kind|{k:02}" for k in range(77)] * 3
    data.write_text("text,label\n" + "\n".join(lines) + "\n", "utf-8")
    typed = arguments(tmp_path, data, *CLASSIFIER, "--description=of 77 kinds", "--epochs", "1")
    assert main(typed) == 0
    card = (tmp_path / "weights/mine/card.md").read_text("utf-8")
    shown = shlex.split(card.split("```")[1].replace("\\\n", " "))
    assert str(tmp_path) not in card
    assert shown == [
        "gatescope",
        *("/".join(Path(word).parts[-2:]) if word.startswith("/") else word for word in typed),
    ]
    rows = [line for line in card.splitlines() if line.startswith(r"| kind\|")]
    assert len(rows) == 77
    assert all(len(row.replace(r"\|", "").split("|")) == 7 for row in rows)
    assert "| labels | 77, listed under [Labels](#labels) |" in card
    for picture in ("training.png", "confusion.png"):
        assert f"]({picture})" in card
        assert (tmp_path / "weights/mine" / picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_help_is_grouped_explains_each_option_and_its_examples_are_understood(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    shown, _, examples = text.partition("\nexample")
    assert "\n  --" in shown
    assert shown.count(":\n") >= 4
    for line in examples.partition("\n")[2].replace("\\\n", " ").strip().splitlines():
        words = shlex.split(line)
        assert words[0] == "gatescope"
        assert _parser(verb).parse_args(words[1:]).run
    parser = next(action for action in _parser(verb)._actions if action.choices).choices[verb]  # type: ignore[index]
    assert not [action.option_strings for action in parser._actions if not action.help]
