"""The command line as a person uses it: what it prints, and one sentence where something is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from models.runtime.cpu.kernel import choose
from service.cli.main import main


def test_list_shows_every_model_and_marks_the_default(server: httpx.Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--url", str(server.base_url)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(server.get("/v1/models").json()["models"])
    assert sum(line.startswith("*") for line in lines) == 1


def test_predict_prints_labels_and_entities(server: httpx.Client, capsys: pytest.CaptureFixture[str]) -> None:
    url = ["--url", str(server.base_url)]
    assert main(["predict", "--model", "tiny-zh-lstm", "我想吃汉堡", *url]) == 0
    labels = server.get("/v1/models/tiny-zh-lstm").json()["labels"]
    assert sorted(line.split()[1] for line in capsys.readouterr().out.splitlines()) == sorted(labels)
    assert main(["predict", "--model", "tiny-zh-ner-lstm", "我想吃汉堡", "--json", *url]) == 0
    assert "entities" in json.loads(capsys.readouterr().out)["results"][0]


def test_inspect_draws_one_bar_a_token(server: httpx.Client, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "inspect",
        "--model",
        "tiny-zh-lstm",
        "我想",
        "--tensors",
        "forget_gate",
        "--url",
        str(server.base_url),
    ]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert [line[-1] for line in out.splitlines()[1:3]] == ["我", "想"]
    assert "█" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["predict", "--model", "nobody", "x"], "nobody"),
        (["predict", "--model", "tiny-zh-lstm", " "], "no token"),
        (["inspect", "--model", "tiny-zh-rnn", "x", "--tensors", "forget_gate"], "hidden_state"),
        (["inspect", "--model", "tiny-zh-lstm", "x", "--units", "999"], "999"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(
    server: httpx.Client, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main([*arguments, "--url", str(server.base_url)]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert len(captured.err.splitlines()) == 1


def test_no_server_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--url", "http://127.0.0.1:9"]) == 2
    assert "gatescope serve" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "value"), [("PORT", "many"), ("DEVICE", "tpu"), ("MAX_BODY_BYTES", "0")])
def test_a_wrong_setting_is_one_sentence_that_names_it(name: str, value: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", "serve"], env={f"GATESCOPE_{name}": value}, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert f"GATESCOPE_{name}" in done.stderr
    assert value in done.stderr
    assert len(done.stderr.splitlines()) == 1


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
    assert main(["evaluate", str(tmp_path / "weights/mine"), str(data)]) == 0
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
