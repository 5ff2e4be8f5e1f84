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
    "faithfulness",
    "robustness",
    "pretrain",
    "average",
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


# commands that work, from which half of the lists are made by a few changes
GOOD = [
    "list --json",
    "predict --model tiny-zh-lstm --top-k 1 好",
    "predict --file rows.jsonl --out x.csv --batch-size 1",
    "predict --file rows.csv --column text --json",
    "inspect --model tiny-zh-lstm --tensors forget_gate --units 0 1 好",
    "inspect --model tiny-zh-ner-lstm --timesteps 0:3 --token-scores --reduce mean 我想吃汉堡",
    "inspect --out x.npz --model tiny-zh-rnn --layers 0 --directions forward 好",
    "memory --model tiny-zh-lstm --measures mass --units 1 --timesteps 0:2 我想吃",
    "attribute --model tiny-zh-lstm --method shapley --wanted-error 1 我想",
    "attribute --model tiny-zh-ner-lstm --timestep 1 --target O 我想",
    "compare --models tiny-zh-rnn tiny-zh-lstm 我想吃",
    "compare --model tiny-zh-lstm 我想 我吃",
    "intervene --model tiny-zh-lstm --target cell_gate --op scale --value -1 --units 0 --timesteps 1 我想",
    "intervene --model tiny-zh-ner-lstm --op zero --sweep timesteps --interventions [] 我想",
    "top --model tiny-zh-lstm --unit 1 --top-k 2 --tensor cell_state 我 想",
    "settings --port 1 --json",
    "evaluate x rows.jsonl --device cuda",
    "average x y --shares 1 2 --name m --dev rows.jsonl",
    "train --name m --task text-classification --language en --train rows.csv --dev rows.jsonl --device cuda",
]


def words(dice: random.Random) -> list[str]:
    """A good command with some words changed, or a verb and anything, as the system would hand them over."""
    if dice.random() < 0.5:
        command = dice.choice(GOOD).split(" ")
        for _ in range(dice.randint(0, 3)):
            place = dice.randrange(1, len(command) + 1)
            command[place : place + dice.randint(0, 1)] = [one_word(dice)]
        return command
    first = [dice.choice(VERBS)] if dice.random() < 0.95 else []
    return [*first, *(one_word(dice) for _ in range(dice.randint(0, 7)))]


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
