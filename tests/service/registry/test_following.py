"""Real processes, one or two workers: each follows what one is asked, by the protocol's routes and by SIGHUP."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from .conftest import (
    NAME,
    PREDICT,
    TEXTS,
    answer,
    are_equal,
    damage,
    exact_scores,
    exchange,
    save_version,
    scores,
    until,
)

LOAD, UNLOAD = f"/v2/repository/models/{NAME}/load", f"/v2/repository/models/{NAME}/unload"
CPU = torch.device("cpu")


@pytest.fixture(params=[1, 2], ids=["one process", "two workers"])
def process(
    request: pytest.FixtureRequest, folder: Path, tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "WEIGHTS_DIR": folder,
        "PORT": port,
        "DEVICE": "cpu",
        "WORKERS": request.param,
        "DRAIN_MS": 0,
        "MODEL_CONTROL": "explicit",
    }
    environment = {**os.environ, **{f"GATESCOPE_{k}": str(v) for k, v in settings.items()}}
    log = tmp_path / "log"
    with log.open("wb") as out:
        server = subprocess.Popen([sys.executable, "-m", "service", "serve"], env=environment, stdout=out)
    limits = httpx.Limits(max_keepalive_connections=0)  # so that each request finds its own worker
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, limits=limits, trust_env=False) as client:
            until(lambda: log.read_text("utf-8").count("ready: ") == request.param)
            yield server, client
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.wait()


def served(client: httpx.Client) -> set[tuple[str, ...]]:
    """What is listed by whichever worker answers, of many requests."""
    return {tuple(client.get("/health/ready").json()["models"]) for _ in range(40)}


def test_every_worker_follows_a_load_and_an_unload_before_it_is_answered(
    folder: Path, tmp_path: Path, process: tuple[Any, httpx.Client]
) -> None:
    _, client = process
    for _ in range(2):
        assert client.post(UNLOAD).status_code == 200
        assert served(client) == {("other",)}
        assert client.post(LOAD).status_code == 200
        assert served(client) == {("other", NAME)}
    exchange(folder / NAME, 2)
    assert client.post(LOAD).status_code == 200
    exact = exact_scores(tmp_path, 2)
    assert all(are_equal(answer(client), exact) for _ in range(20))


def test_sighup_serves_what_the_folder_holds_and_fails_no_request(
    folder: Path, tmp_path: Path, process: tuple[subprocess.Popen[bytes], httpx.Client]
) -> None:
    """A model that was trained anew, one that is new, one that has gone and one that is damaged, under load."""
    server, client = process
    exact = {seed: exact_scores(tmp_path, seed) for seed in (1, 2)}
    stop, failed, seen = threading.Event(), [], []

    def ask() -> None:
        while not stop.is_set():
            asked = client.post(PREDICT, json={"inputs": TEXTS})
            if asked.status_code != 200:
                failed.append(asked.text)
            else:
                seen.append(scores(asked.json()))

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for each in clients:
        each.start()
    try:
        exchange(folder / NAME, 2)
        save_version(folder / "fresh", 3, "fresh")
        shutil.rmtree(folder / "other")
        server.send_signal(signal.SIGHUP)
        until(lambda: served(client) == {("fresh", NAME)})
        until(lambda: all(are_equal(each, exact[2]) for each in seen[-10:]))
        damage(folder / NAME)
        server.send_signal(signal.SIGHUP)
        time.sleep(1.5)
        assert served(client) == {("fresh", NAME)}
    finally:
        stop.set()
        for each in clients:
            each.join(20)
    assert failed == []
    assert all(are_equal(each, exact[1]) or are_equal(each, exact[2]) for each in seen)
    assert are_equal(seen[-1], exact[2]), "what is damaged replaced what was good"
    assert server.poll() is None


def test_a_weights_folder_that_is_gone_for_a_moment_empties_no_server(
    folder: Path, process: tuple[subprocess.Popen[bytes], httpx.Client]
) -> None:
    server, client = process
    folder.rename(folder.with_name("away"))
    server.send_signal(signal.SIGHUP)
    time.sleep(1.2)
    assert served(client) == {("other", NAME)}
    folder.with_name("away").rename(folder)


def test_a_model_that_was_unloaded_stays_so_in_a_worker_that_takes_anothers_place(
    process: tuple[subprocess.Popen[bytes], httpx.Client], tmp_path: Path
) -> None:
    server, client = process
    assert client.post(UNLOAD).status_code == 200
    server.send_signal(signal.SIGHUP)
    listing = subprocess.run(["ps", "-o", "pid=", "-o", "args=", "-ww", "--ppid", str(server.pid)], capture_output=True)
    workers = [int(line.split()[0]) for line in listing.stdout.decode().splitlines() if "spawn_main" in line]
    if workers:
        os.kill(workers[0], signal.SIGKILL)
        until(lambda: (tmp_path / "log").read_text("utf-8").count("ready: ") == 3)
    assert served(client) == {("other",)}
    assert client.post(LOAD).status_code == 200, "a worker that died is not waited for"
    assert served(client) == {("other", NAME)}
