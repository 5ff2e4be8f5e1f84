"""SIGTERM loses nothing: readiness first, then the port, and every request that was taken is answered."""

import concurrent.futures
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest


@pytest.fixture(params=[1, 2], ids=["alone", "two-workers"])
def process(weights_dir: Path, request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "WEIGHTS_DIR": str(weights_dir),
        "PORT": str(port),
        "DRAIN_MS": "1500",
        "DEVICE": "cpu",
        "WORKERS": str(request.param),
    }
    environment = {**os.environ, **{f"GATESCOPE_{k}": v for k, v in settings.items()}}
    command = [sys.executable, "-m", "service", "serve"]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    base, waiting = f"http://127.0.0.1:{port}", threading.Event()
    try:
        for _ in range(600):
            if server.poll() is not None or all(status(base) == 200 for _ in range(20)):  # whichever worker answers
                break
            waiting.wait(0.1)
        yield server, base
    finally:
        server.kill()
        server.wait()


def status(base: str) -> int:
    try:
        return httpx.get(f"{base}/health/ready", trust_env=False).status_code
    except httpx.TransportError:
        return 0


def test_sigterm_loses_no_request_and_ends_with_status_0(process: tuple[subprocess.Popen[str], str]) -> None:
    server, base = process
    body = {"inputs": ["字" * 500] * 128}

    def ask(_: int) -> int:
        with httpx.Client(trust_env=False, timeout=30) as client:
            return client.post(f"{base}/v1/models/tiny-zh-lstm/inspect", json={**body, "reduce": ["mean"]}).status_code

    with concurrent.futures.ThreadPoolExecutor(4) as clients:
        answers = [clients.submit(ask, n) for n in range(4)]
        waiting = threading.Event()
        while not any(a.done() for a in answers):  # some are done, others are running and queued
            waiting.wait(0.01)
        server.send_signal(signal.SIGTERM)
        for _ in range(130):
            if status(base) == 503:
                break
            waiting.wait(0.01)
        assert status(base) == 503, "readiness is not off while the port is still open"
        late = httpx.post(f"{base}/v1/models/tiny-zh-lstm/predict", json={"inputs": "还在"}, trust_env=False)
        assert late.status_code == 200, "a request that came before the port closed is lost"
        assert late.headers["connection"] == "close", "the next request on this connection would be lost"
        assert [a.result() for a in answers] == [200] * 4
    assert server.wait(20) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{base}/health/live", trust_env=False)
