"""`train` and `evaluate`: from a file of rows to a model that is served."""

import json
from pathlib import Path

import pytest

from models.checkpoint.checkpoint import load_checkpoint
from models.runtime.cpu.kernel import choose
from service.cli.main import main


def test_train_and_evaluate_make_a_model_that_is_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], serve: object
) -> None:
    good, bad = ("great fine lovely", "poor awful dull")
    rows = [
        {"text": f"{w} film {i % 7}", "label": label}
        for i in range(40)
        for label, words in (("positive", good), ("negative", bad))
        for w in words.split()
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    arguments = [
        "train",
        "--name",
        "mine",
        "--task",
        "text-classification",
        "--language",
        "en",
        "--units",
        "8",
        "--token-dimension",
        "8",
        "--epochs",
        "4",
        "--learning-rate",
        "0.02",
        "--batch-size",
        "16",
        "--average",
        "0.9",
        "--unknown-rate",
        "0",
        "--train",
        str(data),
        "--dev",
        str(data),
        "--out",
        str(tmp_path / "weights"),
        "--state-dir",
        str(tmp_path / "runs"),
        "--device",
        "cpu",
    ]
    assert main(arguments) == 0
    assert main(["evaluate", str(tmp_path / "weights/mine"), str(data), "--json"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out[out.index("{") :])["metrics"]["accuracy"] == 1
    folder = tmp_path / "weights/mine"
    assert {"card.md", "training.png", "evaluation.json", "manifest.json"} <= {p.name for p in folder.iterdir()}
    card, stored = ((folder / name).read_text("utf-8") for name in ("card.md", "evaluation.json"))
    assert str(tmp_path) not in card
    rounded = json.loads(stored)["bfloat16"]
    assert (rounded is None) == (choose("auto") is None)
    if rounded:
        assert f"| accuracy | 1.0000 | {rounded['accuracy']:.4f} (" in card
        assert f"| texts answered otherwise |  | {rounded['texts_answered_otherwise']} |" in card
    assert main(arguments) == 2  # an older model is never replaced unasked
    assert "--replace" in capsys.readouterr().err
    with serve(weights_dir=tmp_path / "weights") as client:  # type: ignore[operator]
        answer = client.post("/v1/models/mine/predict", json={"inputs": "A LOVELY film"}).json()
        assert answer["results"][0]["labels"][0]["label"] == "positive"


def test_a_few_rows_train_a_model_that_starts_from_another(
    weights_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its shape, task and language need not be said, and the card says what it started from."""
    data, start = tmp_path / "rows.jsonl", weights_dir / "tiny-zh-lstm"
    rows = [{"text": text, "label": label} for text, label in (("酒店不错", "positive"), ("服务很差", "negative"))]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows * 8), "utf-8")
    places = ["--out", str(tmp_path / "weights"), "--state-dir", str(tmp_path / "runs"), "--device", "cpu"]
    files = ["--train", str(data), "--dev", str(data), "--start", str(start)]
    assert main(["train", "--name", "mine", *files, *places, "--epochs", "2"]) == 0
    mine, base = (load_checkpoint(folder) for folder in (tmp_path / "weights/mine", start))
    for feature, other in zip(mine.network.architecture.features, base.network.architecture.features, strict=True):
        assert feature.vocabulary is not None
        assert other.vocabulary is not None
        assert feature.vocabulary.forms == other.vocabulary.forms
    assert mine.labels == ("negative", "positive")
    card = (tmp_path / "weights/mine/card.md").read_text("utf-8")
    assert "what tiny-zh-lstm was trained on (none), and then more" in card
    assert "--start " in card
    assert "/tiny-zh-lstm\n\nNot known.\n" in card
    capsys.readouterr()
    assert main(["train", "--name", "other", *files, *places, "--units", "9"]) == 2
    assert "they must agree" in capsys.readouterr().err
    assert main(["train", "--name", "other", *files[:-1], str(tmp_path / "none"), *places]) == 2
    assert "is missing" in capsys.readouterr().err


def test_a_bad_row_is_an_error_with_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"text": "a", "label": "x"}\n{"text": "b"}\n', "utf-8")
    arguments = ["train", "--name", "m", "--task", "text-classification", "--language", "en", "--train", str(data)]
    assert main([*arguments, "--dev", str(data), "--out", str(tmp_path)]) == 2
    assert "rows.jsonl:2:" in capsys.readouterr().err


def test_an_unknown_choice_of_a_recipe_names_the_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text('task = "text-classification"\nlanguage = "en"\nunit = 3\n', "utf-8")
    arguments = ["train", "--recipe", str(recipe), "--name", "m", "--train", str(recipe), "--dev", str(recipe)]
    assert main(arguments) == 2
    assert "unit" in capsys.readouterr().err
