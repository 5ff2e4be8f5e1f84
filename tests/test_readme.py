"""README in both languages: every code block runs as it stands, and every table is true."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import torch

from models import Predictor, load_checkpoint
from service.settings import Settings

ROOT = Path(__file__).parent.parent
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]
BLOCK = re.compile(r"^```(bash|python|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(readme: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(readme.read_text("utf-8"))


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files that the commands need, with data for `train`, so that they write outside this repository."""
    out = tmp_path_factory.mktemp("clone")
    for name in (
        "Makefile",
        "requirements",
        "pyproject.toml",
        "setup.py",
        "models",
        "service",
        "weights",
        "recipes",
        "image.mk",
    ):
        if (ROOT / name).exists() and name != "weights":
            (out / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "weights", out / "weights")
    (out / ".venv").symlink_to(Path(sys.prefix))
    rows = [
        {"text": f"{word} film number {i}", "label": label}
        for i in range(12)
        for label, words in (("positive", "great fine lovely"), ("negative", "poor awful dull"))
        for word in words.split()
    ]
    for name in ("train.jsonl", "dev.jsonl"):
        (out / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    for name in ("train.bio", "dev.bio"):
        (out / name).write_text(
            "Anna B-PER\nvisited O\nParis B-LOC\n. O\n\nWho O\nis O\nTom B-PER\n? O\n\n" * 6, "utf-8"
        )
    return out


@pytest.fixture(scope="module")
def environment(port: int) -> dict[str, str]:
    return {**os.environ, "GATESCOPE_PORT": str(port), "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def served(place: Path, port: int, environment: dict[str, str]) -> Iterator[None]:
    """A server started by README's `make serve`, in the present virtual environment."""
    command = ["make", "serve", f"VENV={sys.prefix}"]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    waiting, deadline = threading.Event(), time.monotonic() + 120
    while server.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False).status_code == 200:
                break
        except httpx.TransportError:
            pass
        waiting.wait(0.1)
    else:
        pytest.fail("make serve gave no ready server")
    yield
    os.killpg(server.pid, signal.SIGTERM)
    assert server.wait(30) is not None


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("readme", READMES, ids=lambda p: p.name)
def test_every_code_block_runs_and_answers_as_shown(
    readme: Path, place: Path, port: int, environment: dict[str, str]
) -> None:
    for made in ("my-lstm", "my-ner"):
        shutil.rmtree(place / "weights" / made, ignore_errors=True)
    answer = ""
    code_blocks = blocks(readme)
    assert len(code_blocks) >= 7
    for language, code in code_blocks:
        code = code.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        if language == "json":
            _assert_within(json.loads(code), json.loads(answer))
            continue
        if code.startswith("make serve"):
            continue  # the fixture `served` runs it
        command = [sys.executable, "-c", code] if language == "python" else ["bash", "-euo", "pipefail", "-c", code]
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{code}\n{done.stderr}"
        answer = done.stdout
        assert answer.strip(), code


def test_what_is_said_of_the_lectures_sentence_is_what_the_models_answer() -> None:
    told = READMES[1].read_text("utf-8").split("讲义里的例句", 1)[1].split("```", 1)[0]
    assert re.search("负面.*地名", told, re.DOTALL)
    review, tagged = (
        Predictor(load_checkpoint(ROOT / "weights" / name), torch.device("cpu")).predict(["我想吃汉堡"])[0]
        for name in ("zh-sentiment-bilstm", "zh-ner-bilstm")
    )
    label, score = review.scores[0]
    (entity,) = tagged.entities
    assert (label, entity.label, entity.start, entity.end) == ("negative", "LOC", 3, 5)
    assert re.findall(r"(\d+)%", told) == [f"{100 * score:.0f}", f"{100 * entity.score:.0f}"]


def _assert_within(documented: object, answer: object, where: str = "") -> None:
    """The answer has what README documents; README may leave fields out, and numbers may differ in the last digits."""
    if isinstance(documented, dict) and isinstance(answer, dict):
        for key, value in documented.items():
            assert key in answer, f"{where}.{key} is not in the answer"
            _assert_within(value, answer[key], f"{where}.{key}")
    elif isinstance(documented, list) and isinstance(answer, list):
        assert len(documented) == len(answer), where
        for i, (a, b) in enumerate(zip(documented, answer, strict=True)):
            _assert_within(a, b, f"{where}[{i}]")
    elif where.endswith("recurrence_max_abs_error"):
        assert isinstance(answer, float)
        assert 0 < answer < 2e-6
    elif where.endswith("certificate.kernel"):  # depends on the machine
        assert isinstance(answer, str)
        assert answer == "torch" or answer.startswith("fused-")
    elif isinstance(documented, float):
        assert answer == pytest.approx(documented, abs=2e-3), where
    else:
        assert documented == answer, where


@pytest.mark.parametrize("readme", READMES, ids=lambda p: p.name)
def test_the_first_answer_with_forget_gates_is_within_20_lines(readme: Path) -> None:
    head = "\n".join(readme.read_text("utf-8").splitlines()[:20])
    assert "make serve" in head
    assert "curl" in head
    assert re.search(r'"forget_gate": \{.*"data": \[\[\[\[', head)


@pytest.mark.parametrize("readme", READMES, ids=lambda p: p.name)
def test_every_setting_stands_in_readme_with_its_default(readme: Path) -> None:
    rows = dict(re.findall(r"^\| `GATESCOPE_(\w+)` \| `?(.*?)`? \|", readme.read_text("utf-8"), re.MULTILINE))
    assert rows == {name.upper(): _written(field.default) for name, field in Settings.model_fields.items()}


def _written(default: object) -> str:
    if default is None:
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)


@pytest.mark.parametrize("readme", READMES, ids=lambda p: p.name)
def test_every_shipped_model_stands_in_readme_with_its_figure(readme: Path) -> None:
    text = readme.read_text("utf-8")
    for manifest in sorted((ROOT / "weights").glob("*/manifest.json")):
        m = json.loads(manifest.read_text("utf-8"))
        figure = m["metrics"].get("accuracy", m["metrics"].get("f1"))
        assert re.search(rf"^\| `{m['name']}` \|.*\| (accuracy|F1|准确率) {100 * figure:.1f}", text, re.MULTILINE), m[
            "name"
        ]


def test_links_lead_to_files_that_are_there() -> None:
    for page in [*READMES, ROOT / "CONTRIBUTING.md", ROOT / "weights/README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
