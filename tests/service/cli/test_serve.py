"""How the server starts: a wrong setting is one sentence, and workers share nothing but the port."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from service.errors import StartupError
from service.registry.startup import check_kernel
from service.settings import Settings, read_settings

COMMAND = [sys.executable, "-m", "service", "serve"]


@pytest.mark.parametrize(
    ("value", "every", "one"),
    [
        ("float32", "float32", "float32"),
        ("bfloat16", "bfloat16", "bfloat16"),
        ("one=bfloat16", "float32", "bfloat16"),
        ("bfloat16, one = float32", "bfloat16", "float32"),
        ("other=bfloat16,one=bfloat16", "float32", "bfloat16"),
    ],
)
def test_precision_is_every_models_or_single_ones(value: str, every: str, one: str) -> None:
    settings = Settings(precision=value)
    assert (settings.precision_of("any"), settings.precision_of("one")) == (every, one)
    assert settings.uses_bfloat16 == ("bfloat16" in (every, one))


@pytest.mark.parametrize("value", ["bf16", "", "one=", "=bfloat16", "one=bfloat16,", "one:bfloat16"])
def test_another_precision_is_an_error_that_says_what_is_allowed(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATESCOPE_PRECISION", value)
    with pytest.raises(
        StartupError, match=r"^GATESCOPE_PRECISION is .*allowed are float32, bfloat16, or name=bfloat16"
    ):
        read_settings()


def test_bfloat16_without_the_fused_kernel_is_an_error_at_start() -> None:
    import torch

    settings = Settings(precision="one=bfloat16", kernel="torch")
    with pytest.raises(
        StartupError, match="GATESCOPE_PRECISION is 'one=bfloat16', and bfloat16 runs on the CPU's fused"
    ):
        check_kernel(settings, torch.device("cpu"))


@pytest.fixture
def environment(weights_dir: Path) -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"WEIGHTS_DIR": str(weights_dir), "PORT": str(port), "DEVICE": "cpu", "WORKERS": "2", "DRAIN_MS": "0"}
    return {**os.environ, **{f"GATESCOPE_{k}": v for k, v in settings.items()}}


@pytest.fixture
def workers(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    server = subprocess.Popen(COMMAND, env=environment, stdout=subprocess.DEVNULL)
    yield server, f"http://127.0.0.1:{environment['GATESCOPE_PORT']}"
    server.send_signal(signal.SIGTERM)
    assert server.wait(30) == 0


def answers(base: str) -> bool:
    try:
        asked = httpx.post(f"{base}/v1/models/tiny-zh-lstm/predict", json={"inputs": "好"}, trust_env=False, timeout=5)
    except httpx.TransportError:
        return False
    return asked.status_code == 200


def children(parent: int) -> set[int]:
    """The workers: multiprocessing's resource tracker is a child too."""
    listing = subprocess.run(
        ["ps", "-ww", "-o", "pid=", "-o", "args=", "--ppid", str(parent)], capture_output=True, text=True
    ).stdout
    return {int(line.split()[0]) for line in listing.splitlines() if "spawn_main" in line}


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    waiting = threading.Event()
    for _ in range(int(seconds * 20)):
        if condition():
            return
        waiting.wait(0.05)
    raise AssertionError("it did not come about")


def test_a_worker_that_dies_is_replaced_and_the_port_stays_open(
    workers: tuple[subprocess.Popen[bytes], str],
) -> None:
    server, base = workers
    until(lambda: answers(base) and len(children(server.pid)) == 2)
    first = children(server.pid)
    os.kill(min(first), signal.SIGKILL)
    until(lambda: len(children(server.pid) - first) == 1 and len(children(server.pid)) == 2)
    until(lambda: all(answers(base) for _ in range(10)))


def step(base: str, state: str | None) -> httpx.Response:
    """Over a connection of its own; a worker that still loads its models is asked again, as it says."""
    asked = {"text": "好", "state": state}
    for _ in range(300):
        answer = httpx.post(f"{base}/v1/models/tiny-zh-lstm/step", json=asked, trust_env=False, timeout=30)
        if answer.status_code != 503:
            break
        threading.Event().wait(0.2)
    return answer


def test_workers_without_a_key_open_each_others_states(workers: tuple[subprocess.Popen[bytes], str]) -> None:
    """The parent makes one key for all: a new connection of each step reaches one or the other."""
    _, base = workers
    until(lambda: answers(base))
    state = None
    for n in range(1, 41):
        answer = step(base, state)
        assert answer.status_code == 200, answer.text
        state = answer.json()["state"]
        assert answer.json()["timestep"] == n


def test_a_port_that_is_taken_is_one_sentence_before_any_model_is_loaded(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", int(environment["GATESCOPE_PORT"]))):
        for workers in ("1", "2"):
            setting = {**environment, "GATESCOPE_WORKERS": workers}
            done = subprocess.run(COMMAND, env=setting, capture_output=True, text=True, timeout=60)
            assert done.returncode == 2
            assert "cannot be listened on (Address already in use)" in done.stderr
            assert len(done.stderr.splitlines()) == 1
            assert "loaded" not in done.stdout
    unknown = {**environment, "GATESCOPE_HOST": "no.such.host.invalid"}
    done = subprocess.run(COMMAND, env=unknown, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "no.such.host.invalid" in done.stderr


def test_workers_that_cannot_start_end_it_with_one_sentence(environment: dict[str, str]) -> None:
    wrong = {**environment, "GATESCOPE_KERNEL": "torch", "GATESCOPE_PRECISION": "bfloat16"}
    done = subprocess.run(COMMAND, env=wrong, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "gatescope: GATESCOPE_PRECISION is 'bfloat16'" in done.stderr
    assert "Traceback" not in done.stderr
