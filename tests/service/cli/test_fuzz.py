"""500 argument lists of seeded nonsense, with nonsense on standard input: a sentence each, and never a traceback."""

import io
import os
import random
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from service.cli import serve
from service.cli.main import main

COUNT = 500
VERBS = [
    "serve",
    "settings",
    "list",
    "predict",
    "inspect",
    "memory",
    "attribute",
    "compare",
    "intervene",
    "top",
    "render",
    "train",
    "evaluate",
    "",
    "--help",
    "--version",
]
FLAGS = [
    "--model",
    "--url",
    "--json",
    "--units",
    "--tensors",
    "--layers",
    "--directions",
    "--timesteps",
    "--reduce",
    "--out",
    "--file",
    "--column",
    "--batch-size",
    "--top-k",
    "--models",
    "--method",
    "--target",
    "--timestep",
    "--op",
    "--value",
    "--sweep",
    "--interventions",
    "--unit",
    "--layer",
    "--direction",
    "--tensor",
    "--view",
    "--language",
    "--decimals",
    "--embedding",
    "--token-scores",
    "--preactivations",
    "--prefix-predictions",
    "--port",
    "--host",
    "--weights",
    "--device",
    "--name",
    "--task",
    "--train",
    "--dev",
    "--help",
    "--",
    "-h",
]
VALUES = [
    "-",
    "我想吃汉堡",
    "not bad",
    "0",
    "1",
    "-1",
    "999999999999",
    "1e400",
    "nan",
    "0:3",
    "3:0:0",
    ":",
    "all",
    "",
    "forget_gate",
    "hidden_state",
    "candidate",
    "reverse",
    "forward",
    "zero",
    "scale",
    "units",
    "mean",
    "cell",
    "tiny-zh-lstm",
    "tiny-zh-ner-lstm",
    "tiny-zh-rnn",
    "nobody",
    "a/b",
    "../..",
    "%s%n",
    "{}",
    "[]",
    "[{}]",
    '[{"target": "forget_gate", "op": "zero"}]',
    "x.svg",
    "x.png",
    "x.npz",
    "x.csv",
    "x.jsonl",
    "/",
    ".",
    "no/x.png",
    "rows.csv",
    "rows.jsonl",
    "rows.txt",
    "http://[",
    "http://127.0.0.1:1",
    "ftp://x",
    "\u0000"[:0] + "\u202e",
    "😀",
]


def words(dice: random.Random) -> list[str]:
    """A verb, most often, then flags, values and raw bytes in any order, as the system would hand them over."""
    count = dice.randint(0, 7)
    first = [dice.choice(VERBS)] if dice.random() < 0.95 else []
    return [*first, *(one_word(dice) for _ in range(count))]


def one_word(dice: random.Random) -> str:
    kind = dice.random()
    if kind < 0.4:
        return dice.choice(FLAGS)
    if kind < 0.9:
        return dice.choice(VALUES)
    return os.fsdecode(bytes(dice.choices(range(1, 256), k=dice.randint(0, 12))))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: httpx.Client) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_bytes(b"text,n\nx,1\ny\n")
    (tmp_path / "rows.jsonl").write_bytes(b'{"text": "x"}\n{"text": ""}\n')
    (tmp_path / "rows.txt").write_bytes(b"x\n\xff\n")
    monkeypatch.setenv("GATESCOPE_URL", str(server.base_url))
    monkeypatch.setattr(serve, "serve", lambda: 0)


def test_nonsense_ends_with_a_sentence_and_never_with_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dice, statuses = random.Random(14), set()
    environment = dict(os.environ)
    for number in range(COUNT):
        given, typed = words(dice), bytes(dice.choices(range(256), k=dice.randint(0, 40)))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed), "utf-8"))
        status = main(given)
        captured = capsys.readouterr()
        assert status in (0, 1, 2), (number, given)
        assert "bug of gatescope" not in captured.err, (number, given, captured.err)
        assert "Traceback" not in captured.out + captured.err, (number, given)
        if status:
            assert captured.err.startswith("gatescope: "), (number, given, captured.err)
            assert len(captured.err.splitlines()) == 1, (number, given, captured.err)
        statuses.add(status)
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)
    assert statuses == {0, 1, 2}


def test_the_process_itself_ends_as_well() -> None:
    """The same through the real thing, where the interpreter hands over arguments as bytes and closes the streams."""
    dice = random.Random(15)
    for number in range(12):
        given = [os.fsencode(w) for w in words(dice)]
        if given[:1] == [b"serve"]:
            continue
        root = Path(__file__).parents[3]
        typed = bytes(dice.choices(range(256), k=20))
        environment = {**os.environ, "PYTHONPATH": str(root)}
        done = subprocess.run(
            [sys.executable, "-m", "service", *given], input=typed, env=environment, capture_output=True
        )
        assert done.returncode in (0, 1, 2), (number, given, done.stderr)
        assert b"Traceback" not in done.stdout + done.stderr, (number, given)
