"""`gatescope batch`, as a person types it: kills, bad rows, mistakes."""

import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.batch.sources import BLOCK_ROWS
from models.checkpoint.checkpoint import load_checkpoint
from service.cli.main import main
from tests.models.batch.files import json_lines, pyarrow_or_skip, read
from tests.models.batch.requests import rows_for

ROOT = Path(__file__).parents[3]
KILLS = 6


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "service", "batch", *map(str, words)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'client'}"}


def start(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(command(*words), cwd=ROOT, env=environment(), text=True, stderr=subprocess.PIPE)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_killed_again_and_again_loses_and_doubles_no_row(
    tmp_path: Path, weights_dir: Path, processes: int
) -> None:
    """kill -9 at random moments of its work, then the same again until it is whole; beside a run that was let be.

    The runs are forks of this process, which has torch already; `python -m bench batch` kills the command itself.
    """
    draw = random.Random(processes)
    rows = rows_for("tiny-zh-lstm", 1500)
    rows[70]["text"] = " "  # without an answer
    source = json_lines(tmp_path / "in.jsonl", rows)
    options = ("--model", weights_dir / "tiny-zh-lstm", "--processes", processes, "--block-rows", 10)
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert main(["batch", *map(str, (source, whole, *options))]) == 1
    kills = went_on = 0
    while not out.exists() or (tmp_path / "out.jsonl.batch" / "run.json").exists():  # killed before its removal
        done = len(list(tmp_path.glob("out.jsonl.batch/0*.json")))
        run = multiprocessing.get_context("fork").Process(
            target=main, args=(["batch", *map(str, (source, out, *options))],)
        )
        run.start()
        aim = done + draw.randint(1, 45)
        while run.is_alive() and len(list(tmp_path.glob("out.jsonl.batch/0*.json"))) < aim:
            time.sleep(draw.uniform(0, 0.01))
        if kills < KILLS:
            run.kill()
            kills += 1
            went_on += bool(done)
        run.join(120)
    assert went_on >= 2, "no run went on with the work of another: the rows are too few for this machine"
    assert out.read_bytes() == whole.read_bytes()
    assert [row["id"] for row in read(out)] == list(range(1500))
    files = sorted(path.name for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock")
    assert files == ["in.jsonl", "out.jsonl", "whole.jsonl"]


def test_a_run_stopped_by_hand_says_how_to_go_on(tmp_path: Path, weights_dir: Path) -> None:
    source = json_lines(tmp_path / "in.jsonl", rows_for("tiny-zh-ner-lstm", 2000))
    options = ("--model", weights_dir / "tiny-zh-ner-lstm", "--processes", 2, "--block-rows", 10)
    run = start(source, tmp_path / "out.jsonl", *options)
    while len(list(tmp_path.glob("out.jsonl.batch/0*.json"))) < 3:
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    _, error = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "the same command goes on" in error
    assert "Traceback" not in error


def test_bad_rows_are_counted_and_the_status_says_so(
    tmp_path: Path, weights_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "好"}\nnot JSON\n{"text": ""}\n', "utf-8")
    model = str(weights_dir / "tiny-zh-lstm")
    assert main(["batch", str(path), str(tmp_path / "out.jsonl"), "--model", model]) == 1
    assert "3 rows, 2 with an error (error says why)" in capsys.readouterr().out
    found = read(tmp_path / "out.jsonl")
    assert [(row.get("error_line"), "label" in row) for row in found] == [(None, True), (2, False), (3, False)]
    good = json_lines(tmp_path / "good.jsonl", [{"text": "好"}])
    assert main(["batch", str(good), str(tmp_path / "good-out.jsonl"), "--model", model]) == 0


def test_a_model_is_named_by_its_folder_or_its_name(
    tmp_path: Path, weights_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATESCOPE_WEIGHTS_DIR", str(weights_dir))
    source = json_lines(tmp_path / "in.jsonl", [{"text": "not bad"}])
    assert main(["batch", str(source), str(tmp_path / "out.jsonl"), "--model", "tiny-en-bilstm"]) == 0
    assert read(tmp_path / "out.jsonl")[0]["label"] in load_checkpoint(weights_dir / "tiny-en-bilstm").labels
    assert main(["batch", str(source), str(tmp_path / "other.jsonl"), "--model", "tiny-lstm"]) == 2
    assert "tiny-en-bilstm, tiny-en-birnn" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--add", "entities"], "no column 'entities' of this model"),
        (["--processes", "0"], "found '0', allowed are 1 to 1024"),
        (["--decimals", "10"], "allowed are 0 to 9"),
        (["--block-rows", "many"], "found 'many'"),
        (["--text-column", "review"], "there is no 'review' among 'text': --text-column names another key"),
        (["--engine", "spark"], "invalid choice"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_a_mistake_is_one_sentence_and_leaves_nothing_behind(
    tmp_path: Path, weights_dir: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    source = json_lines(tmp_path / "in.jsonl", [{"text": "好"}, {"text": "差"}])
    model = str(weights_dir / "tiny-zh-lstm")
    assert main(["batch", str(source), str(tmp_path / "out.jsonl"), "--model", model, *words]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


@pytest.mark.parametrize(
    ("missing", "words"), [("pyarrow", ["out.parquet"]), ("ray", ["out.jsonl", "--engine", "ray"])]
)
def test_an_extra_that_is_missing_is_named(
    tmp_path: Path,
    weights_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    missing: str,
    words: list[str],
) -> None:
    for name in (missing, f"{missing}.parquet", f"{missing}.data"):
        monkeypatch.setitem(sys.modules, name, None)
    source = json_lines(tmp_path / "in.jsonl", [{"text": "好"}])
    monkeypatch.chdir(tmp_path)
    assert main(["batch", str(source), *words, "--model", str(weights_dir / "tiny-zh-lstm")]) == 2
    extra = "parquet" if missing == "pyarrow" else "ray"
    assert f"pip install 'gatescope-server[{extra}]'" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_help_teaches_formats_columns_and_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for word in (
        "JSON lines",
        "Parquet",
        "forget_gate.mean",
        "half_life_tokens",
        "goes on where it was",
        "Exit status",
    ):
        assert word in shown
    assert f"(default: {BLOCK_ROWS})" in shown
    assert re.search(r"gatescope batch \S+\.csv \S+\.jsonl", shown)


def test_the_overview_has_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert re.search(r"answer files:\n  batch +answer a file of texts", capsys.readouterr().out)


def test_progress_has_rows_a_second_and_the_time_left(
    tmp_path: Path, weights_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tqdm", reason="tqdm, of the extra train, is not installed")
    source = json_lines(tmp_path / "in.jsonl", rows_for("tiny-zh-lstm", 60))
    model = str(weights_dir / "tiny-zh-lstm")
    words = ["--model", model, "--block-rows", "10", "--processes", "2"]
    assert main(["batch", str(source), str(tmp_path / "out.jsonl"), *words]) == 0
    assert re.search(r"batch: 100%.* 60/60 \[\d\d:\d\d<\d\d:\d\d, +[\d.]+row/s\]", capsys.readouterr().err)


def test_parquet_goes_in_and_comes_out(tmp_path: Path, weights_dir: Path) -> None:
    pyarrow_or_skip()
    rows = rows_for("tiny-zh-ner-lstm", 30)
    source = json_lines(tmp_path / "in.jsonl", rows)
    words: list[str] = ["--model", str(weights_dir / "tiny-zh-ner-lstm")]
    assert main(["batch", str(source), str(tmp_path / "one.parquet"), *words]) == 0
    again = ["--prefix", "again_", "--add", "entities,tokens"]
    assert main(["batch", str(tmp_path / "one.parquet"), str(tmp_path / "two.parquet"), *words, *again]) == 0
    one, two = read(tmp_path / "one.parquet"), read(tmp_path / "two.parquet")
    assert [{k: row[k] for k in ("id", "text")} for row in two] == rows
    assert [row["again_entities"] for row in two] == [row["entities"] for row in one]
    assert all(row["again_tokens"] >= 1 for row in two)
