"""`gatescope faithfulness`: a trained model's methods on its own data, and the default that training chose by them."""

import json
from pathlib import Path

import pytest

from models.analysis.method_reports import BEST, RANDOM, MethodReport, chosen_default
from models.checkpoint.checkpoint import read_manifest
from service.cli.main import main

GOOD, BAD, FILLER = ("great", "fine"), ("poor", "dull"), ("the", "film", "with", "a", "cast", "in", "it")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One word of seven decides, at a place that moves: what a method has to find."""
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    lines = []
    for i in range(120):
        words = list(FILLER)
        words.insert(i % 7, (GOOD if i % 2 else BAD)[i // 2 % 2])
        lines.append(json.dumps({"text": " ".join(words), "label": "good" if i % 2 else "bad"}) + "\n")
    path.write_text("".join(lines), "utf-8")
    return path


@pytest.fixture(scope="module")
def trained(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    choices = "--task text-classification --language en --units 8 --token-dimension 8 --epochs 12 --learning-rate 0.03"
    quiet = "--batch-size 16 --average 0.9 --unknown-rate 0.05 --input-dropout 0 --layer-dropout 0 --head-dropout 0"
    places = ["--out", str(folder / "weights"), "--state-dir", str(folder / "runs"), "--device", "cpu"]
    files = ["--train", str(rows), "--dev", str(rows)]
    assert main(["train", "--name", "mine", *choices.split(), *quiet.split(), *files, *places]) == 0
    return folder / "weights/mine"


def test_training_chooses_the_default_by_what_it_measured(trained: Path) -> None:
    stored = json.loads((trained / "evaluation.json").read_text("utf-8"))["faithfulness"]
    reports = [MethodReport(**row) for row in stored]
    default = read_manifest(trained).default_attribution
    assert default == chosen_default(reports)
    found = {r.method: r for r in reports}
    assert found[default].comprehensiveness > 2 * found[RANDOM].comprehensiveness
    card = (trained / "card.md").read_text("utf-8")
    assert f"| **`{default}`** |" in card


def test_the_verb_prints_a_table_and_the_default(trained: Path, rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faithfulness", str(trained), str(rows), "--texts", "10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "10 texts"
    assert {line.split()[0] for line in lines[2:-1]} >= {"integrated_gradients", "prefix", "occlusion", "random"}
    assert lines[-1].startswith("recommended default: ")
    assert main(["faithfulness", str(trained), str(rows), "--texts", "4", "--methods", "prefix", "--json"]) == 0
    found = {row["method"]: row for row in json.loads(capsys.readouterr().out)}
    assert found.keys() == {"prefix", RANDOM, BEST}  # the texts are so short that every subset is read
    assert found["prefix"]["texts"] == 4
    assert found[BEST]["comprehensiveness"] >= found["prefix"]["comprehensiveness"]


@pytest.mark.parametrize(
    ("more", "words"),
    [(["--methods", "nobody"], "integrated_gradients"), (["--texts", "-1"], "texts"), (["--texts", "0"], "texts")],
)
def test_what_cannot_be_measured_is_one_sentence(
    trained: Path, rows: Path, more: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["faithfulness", str(trained), str(rows), *more]) == 2
    assert words in capsys.readouterr().err


def test_a_model_that_is_an_rnn_has_no_cell_additive(
    tmp_path: Path, rows: Path, weights_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["faithfulness", str(weights_dir / "tiny-zh-rnn"), str(rows), "--methods", "cell_additive"]) == 2
    assert "RNN" in capsys.readouterr().err
