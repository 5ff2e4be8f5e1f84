"""`predict --file`: every row answered in its place, whatever the format, and every mistake named by file and line."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.cli.main import main

TEXTS = ["我想吃汉堡", "酒店不错", "很差", 'a,b "c"', "好" * 40]
Predict = Callable[..., tuple[int, str]]


@pytest.fixture
def predict(server: httpx.Client, capsys: pytest.CaptureFixture[str]) -> Predict:
    def run(*words: str, model: str = "tiny-zh-lstm") -> tuple[int, str]:
        status = main(["predict", "--url", str(server.base_url), "--model", model, "--batch-size", "2", *words])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return run


@pytest.fixture
def best(server: httpx.Client) -> list[str]:
    """The label of each text, asked for one by one."""
    answers = (server.post("/v1/models/tiny-zh-lstm/predict", json={"inputs": text}).json() for text in TEXTS)
    return [answer["results"][0]["labels"][0]["label"] for answer in answers]


def write(path: Path, texts: list[str]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"id": n, "text": t}) + "\n" for n, t in enumerate(texts)), "utf-8")
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8-sig", newline="") as out:
            csv.writer(out).writerows([["id", "text"], *([n, t] for n, t in enumerate(texts))])
    else:
        path.write_text("\n".join(texts), "utf-8")
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".txt"])
@pytest.mark.parametrize("target", ["out.jsonl", "out.csv", None])
def test_every_row_is_answered_in_its_place(
    predict: Predict, best: list[str], tmp_path: Path, suffix: str, target: str | None
) -> None:
    file = write(tmp_path / f"texts{suffix}", TEXTS)
    out = tmp_path / target if target else None
    status, printed = predict("--file", str(file), *(["--out", str(out)] if out else []))
    assert status == 0, printed
    content = out.read_text("utf-8") if out else printed
    rows = (
        list(csv.DictReader(content.splitlines())) if target == "out.csv" else [*map(json.loads, content.splitlines())]
    )
    assert [row["text"] for row in rows] == TEXTS
    assert [row["label"] for row in rows] == best
    if suffix != ".txt":
        assert [str(row["id"]) for row in rows] == ["0", "1", "2", "3", "4"]
    if target != "out.csv":
        assert [row["labels"][0]["label"] for row in rows] == best


def test_a_refused_row_costs_no_other_its_answer_and_ends_with_status_1(
    predict: Predict, best: list[str], tmp_path: Path
) -> None:
    texts = [*TEXTS[:3], "\u3000", *TEXTS[3:]]
    file = write(tmp_path / "texts.jsonl", texts)
    status, printed = predict("--file", str(file))
    *lines, last = printed.splitlines()
    rows = [json.loads(line) for line in lines]
    assert status == 1
    assert last == "gatescope: 1 of 6 rows were refused: their `error` says why"
    assert "no token" in rows[3]["error"]
    assert [row["label"] for row in rows if "label" in row] == best


def test_entities_stand_in_csv_as_json(predict: Predict, tmp_path: Path, server: httpx.Client) -> None:
    file, out = write(tmp_path / "texts.txt", TEXTS), tmp_path / "out.csv"
    assert predict("--file", str(file), "--out", str(out), model="tiny-zh-ner-lstm")[0] == 0
    want = server.post("/v1/models/tiny-zh-ner-lstm/predict", json={"inputs": TEXTS}).json()["results"]
    with out.open(encoding="utf-8", newline="") as lines:
        found = [json.loads(row["entities"]) for row in csv.DictReader(lines)]
    # torch's kernels answer a text in another batch within 1e-6, where there is no fused one
    alike = [[{**e, "score": pytest.approx(e["score"], abs=1e-6)} for e in r["entities"]] for r in want]
    assert found == alike


def test_a_column_of_another_name_is_read(predict: Predict, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"review": "好"}\n', "utf-8")
    status, printed = predict("--file", str(file), "--column", "review", "--top-k", "1")
    assert status == 0
    assert len(json.loads(printed)["labels"]) == 1


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", b'{"text": "x"}\n{', "a.jsonl:2: this line is not JSON"),
        ("a.jsonl", b'{"text": "x"}\n\n{"txt": "y"}', "a.jsonl:3: there is no string 'text'"),
        ("a.jsonl", b"[1]", "a.jsonl:1: there is no string"),
        ("a.jsonl", b'{"text": "\\ud800"}', "a.jsonl:1: the text has a lone surrogate"),
        ("a.csv", b"id,review\n1,x\n", "no column 'text' in the header, which has id, review"),
        ("a.csv", b"id,text\n1,x\n2\n", "a.csv:3: this row has another number of fields"),
        ("a.csv", b"text\nx,y\n", "a.csv:2: this row has another number of fields"),
        ("a.csv", b'text\n"x\n', "this is not CSV"),
        ("a.csv", b"", "no column 'text'"),
        ("a.txt", b"\n \n", "has no row"),
        ("a.txt", b"abc \xff\xfe", "is not UTF-8: byte 0xff at 4"),
    ],
)
def test_a_mistake_in_a_file_is_named_before_anything_is_sent(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert main(["predict", "--url", "http://127.0.0.1:9", "--file", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [["--out", "x.txt"], ["--out", "no/folder/x.csv"], ["--batch-size", "0"], ["--file", "a.txt", "and a text"]],
    ids=str,
)
def test_a_wrong_option_is_named_before_the_work(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]
) -> None:
    file = write(tmp_path / "a.txt", TEXTS)
    assert main(["predict", "--url", "http://127.0.0.1:9", "--file", str(file), *words]) == 2
    assert "no server answers" not in capsys.readouterr().err


def test_a_busy_server_is_asked_again(predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = {"title": "t", "detail": "busy", "error_type": "overloaded", "retry_after_ms": 20}
    waited: list[float] = []
    answered, calls = httpx.Client.request, iter([True, True, False])

    def busy_twice(client: httpx.Client, method: str, url: httpx.URL, **options: Any) -> httpx.Response:
        if url.path.endswith("/predict") and next(calls, False):
            return httpx.Response(429, json=problem, request=httpx.Request(method, url))
        return answered(client, method, url, **options)

    monkeypatch.setattr(httpx.Client, "request", busy_twice)
    monkeypatch.setattr("gatescope.clients.time.sleep", waited.append)
    file = write(tmp_path / "a.txt", TEXTS)
    assert predict("--file", str(file))[0] == 0
    assert waited == [0.02, 0.02]
