"""The image, run as an operator would run it: hardened, asked from outside, stopped in the middle of its work."""

import concurrent.futures
import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

DOCKER = shlex.split(os.environ.get("DOCKER", "docker"))
IMAGE = os.environ["GATESCOPE_IMAGE"]
WEIGHTS = Path(__file__).parents[2] / "weights"
HARDENED = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
LIMIT_BYTES = 850_000_000 if IMAGE.endswith("cpu") else 8_000_000_000


def docker(*arguments: str, check: bool = True) -> str:
    done = subprocess.run([*DOCKER, *arguments], capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout + (done.stderr if arguments[0] == "logs" else "")


def inspect(name: str, field: str) -> str:
    return docker("inspect", "--format", f"{{{{{field}}}}}", name).strip()


@contextlib.contextmanager
def container(*options: str, hardened: bool = True) -> Iterator[tuple[str, httpx.Client]]:
    """A running container and a client of its published port."""
    name = f"gatescope-test-{uuid.uuid4().hex[:8]}"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    docker(
        "run",
        "--detach",
        "--name",
        name,
        "--publish",
        f"127.0.0.1:{port}:8000",
        *(HARDENED if hardened else []),
        *options,
        IMAGE,
    )
    try:
        until("a start", lambda: inspect(name, ".State.Running") == "true", 10)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            yield name, client
    finally:
        docker("rm", "--force", "--volumes", name, check=False)


def until(what: str, holds: Any, seconds: float = 60) -> float:
    """Wait until `holds()`; how long it took."""
    waiting, began = threading.Event(), time.monotonic()
    while time.monotonic() - began < seconds:
        with contextlib.suppress(httpx.TransportError):
            if holds():
                return time.monotonic() - began
        waiting.wait(0.05)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def ready(name: str, client: httpx.Client) -> bool:
    if inspect(name, ".State.Running") != "true":
        pytest.fail(f"the container ended: {docker('logs', name)[-600:]}")
    return client.get("/health/ready").status_code == 200


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[str, httpx.Client]]:
    with container() as (name, client):
        took = until("readiness", lambda: ready(name, client))
        print(f"ready {took:.1f} s after docker run")
        yield name, client


def test_it_answers_hardened_with_every_shipped_model(running: tuple[str, httpx.Client]) -> None:
    _, client = running
    listed = client.get("/v1/models").json()
    assert {m["name"] for m in listed["models"]} == {p.parent.name for p in WEIGHTS.glob("*/manifest.json")}
    assert listed["broken"] == []
    answer = client.post("/v1/models/zh-sentiment-lstm/inspect", json={"inputs": "酒店不错"}).json()["results"][0]
    assert answer["labels"][0]["label"] == "positive"
    assert answer["tensors"]["forget_gate"]["shape"] == [1, 1, 4, 128]
    assert answer["certificate"]["recurrence_max_abs_error"] < 1e-5


def test_its_page_comes_with_every_file(running: tuple[str, httpx.Client]) -> None:
    _, client = running
    named = set(re.findall(r'(?:href|src)="(page/[^"]+)"', client.get("/").text))
    assert len(named) > 30
    for address in named:
        assert client.get(f"/{address}").status_code == 200, address


def test_docker_itself_finds_it_healthy(running: tuple[str, httpx.Client]) -> None:
    name, _ = running
    until("health", lambda: inspect(name, ".State.Health.Status") == "healthy")


def test_nobody_in_it_is_root_and_nothing_in_it_can_be_written(running: tuple[str, httpx.Client]) -> None:
    name, _ = running
    assert docker("exec", name, "python", "-c", "import os; print(os.getuid(), os.getgid())").split() == [
        "10001",
        "10001",
    ]
    for place in ("/weights/x", "/opt/gatescope/x", "/x"):
        refused = subprocess.run(
            [*DOCKER, "exec", name, "python", "-c", f"open('{place}', 'w')"], capture_output=True, text=True
        )
        assert refused.returncode != 0
        assert "Read-only file system" in refused.stderr


def test_it_is_small_labelled_and_says_what_is_in_it(running: tuple[str, httpx.Client]) -> None:
    name, _ = running
    weights = int(docker("exec", name, "du", "-sb", "/weights").split()[0])
    size = int(inspect(IMAGE, ".Size")) - weights
    print(f"{size / 1e6:.0f} MB beside {weights / 1e6:.0f} MB of weights")
    assert size < LIMIT_BYTES
    labels = json.loads(inspect(IMAGE, "json .Config.Labels"))
    assert labels["org.opencontainers.image.title"] == "gatescope"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    bill = json.loads(docker("exec", name, "cat", "/opt/sbom.json"))
    assert {"torch", "fastapi", "gatescope-server"} <= {c["name"] for c in bill["components"]}
    assert list(json.loads(inspect(IMAGE, "json .Config.ExposedPorts"))) == ["8000/tcp"]


def test_its_logs_are_json_lines_that_name_the_device(running: tuple[str, httpx.Client]) -> None:
    name, _ = running
    lines = [json.loads(line) for line in docker("logs", name).splitlines()]
    assert any("no CUDA device" in line["message"] for line in lines) or "cuda" in IMAGE
    assert any(line["message"].startswith("ready: ") for line in lines)


def test_it_needs_no_network() -> None:
    name = f"gatescope-test-{uuid.uuid4().hex[:8]}"
    docker("run", "--detach", "--name", name, "--network", "none", *HARDENED, IMAGE)
    try:
        until(
            "readiness",
            lambda: subprocess.run([*DOCKER, "exec", name, "python", "-m", "service.cli.probe"]).returncode == 0,
        )
    finally:
        docker("rm", "--force", name, check=False)


def test_sigterm_loses_no_request() -> None:
    with container("--env", "GATESCOPE_DRAIN_MS=1000") as (name, client):
        until("readiness", lambda: ready(name, client))
        body = {"inputs": ["酒店不错，服务很好。" * 30] * 64, "reduce": ["mean"]}

        def ask(_: int) -> int:
            with httpx.Client(base_url=client.base_url, timeout=60, trust_env=False) as own:
                return own.post("/v1/models/zh-sentiment-bilstm/inspect", json=body).status_code

        with concurrent.futures.ThreadPoolExecutor(6) as clients:
            answers = [clients.submit(ask, n) for n in range(6)]
            until("a first answer", lambda: any(a.done() for a in answers))
            stopping = subprocess.Popen([*DOCKER, "stop", "--time", "40", name], stdout=subprocess.DEVNULL)
            until("readiness to go off", lambda: client.get("/health/ready").status_code == 503)
            assert [a.result() for a in answers] == [200] * 6
            assert stopping.wait(60) == 0
        assert inspect(name, ".State.ExitCode") == "0"


def test_one_models_folder_can_be_mounted(tmp_path: Path) -> None:
    mounted = _readable(shutil.copytree(WEIGHTS / "en-sentiment-lstm", tmp_path / "model"))
    with container("--volume", f"{mounted}:/weights:ro") as (name, client):
        until("readiness", lambda: ready(name, client))
        assert [m["name"] for m in client.get("/v1/models").json()["models"]] == ["en-sentiment-lstm"]


def test_a_broken_weights_mount_says_what_is_broken(tmp_path: Path) -> None:
    broken = tmp_path / "weights" / "mine"
    broken.mkdir(parents=True)
    (broken / "manifest.json").write_text("{")
    _readable(tmp_path / "weights")
    with container("--volume", f"{tmp_path / 'weights'}:/weights:ro") as (name, client):
        until("an answer", lambda: client.get("/health/ready").json()["broken"])
        answer = client.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["broken"][0]["name"] == "mine"
        assert "Invalid JSON" in answer.json()["broken"][0]["reason"]
        assert "Invalid JSON" in docker("logs", name)


def test_cuda_without_a_card_is_one_sentence() -> None:
    done = subprocess.run(
        [*DOCKER, "run", "--rm", "--env", "GATESCOPE_DEVICE=cuda", IMAGE], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "GATESCOPE_DEVICE is cuda and no CUDA device was found" in done.stderr
    assert "Traceback" not in done.stderr


def _readable(folder: Path) -> Path:
    """As a person's own files are: readable for the container's user as well."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    for parent in folder.parents:
        if parent.owner() == "root" and parent.stat().st_mode & 0o005 != 0o005 and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    return folder
