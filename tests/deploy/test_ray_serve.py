"""The service on Ray Serve, for real: two replicas on this machine behind HAProxy, under kills too.

Skipped where the extra `ray` is not installed. `make ray-test` installs it and runs this.
"""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
import websockets
from safetensors.numpy import load

from bench.peers.processes import running
from bench.replicas import expected
from bench.scaling.on_ray import free_port
from gatescope import Client
from models.checkpoint.checkpoint import load_checkpoint
from models.inference.inspection import Inspection
from models.inference.predictor import Predictor

pytest.importorskip("ray", reason="Ray Serve was not tested: the extra `ray` is not installed (`make ray-test`)")
from bench.scaling.ray import on_ray_serve  # it needs Ray

MODEL = "tiny-zh-lstm"
TEXTS = ["酒店不错，服务很好。", "服务很差！", "我想吃汉堡", "中国女排在北京战胜了巴西队"]
GATES = ("input_gate", "forget_gate", "cell_gate", "output_gate", "cell_state", "hidden_state")


@dataclass(frozen=True)
class Served:
    """url: HAProxy's; first_port: from here on the replicas listen themselves."""

    url: str
    first_port: int

    def pids(self) -> set[int]:
        """The replicas' processes: those of this run alone, by the port in their environment."""
        return {int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if self._is_replica(path)}

    def _is_replica(self, cmdline: Path) -> bool:
        variable = f"RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT={self.first_port}".encode()
        with contextlib.suppress(OSError):
            if cmdline.read_bytes().startswith(b"ray::ServeReplica"):
                return variable in (cmdline.parent / "environ").read_bytes().split(b"\0")
        return False

    def replicas(self) -> list[str]:
        """The addresses of those that are ready."""
        urls = [f"http://127.0.0.1:{port}" for port in range(self.first_port, self.first_port + 12)]
        return [url for url in urls if is_ready(url)]


def is_ready(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/health/ready", trust_env=False, timeout=5).status_code == 200
    return False


def wait_until(true: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def served(weights_dir: Path) -> Iterator[Served]:
    """No state key is set: the replicas have to share one that was made for them."""
    first_port = free_port()
    contender = on_ray_serve(weights_dir, 2)
    ports = {"MIN_HTTP_PORT": str(first_port), "MAX_HTTP_PORT": "65535"}
    environment = {f"RAY_SERVE_DIRECT_INGRESS_{name}": port for name, port in ports.items()}
    with running(replace(contender, environment={**contender.environment, **environment}), pinned=False) as server:
        served = Served(f"http://127.0.0.1:{server.port}", first_port)
        wait_until(lambda: len(served.replicas()) == 2)
        yield served


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def predictor(weights_dir: Path) -> Predictor:
    return Predictor(load_checkpoint(weights_dir / MODEL), torch.device("cpu"))


def scores(predictor: Predictor, texts: list[str]) -> list[dict[str, float]]:
    return [dict(answer.scores or ()) for answer in predictor.predict(texts)]


def test_predictions_are_those_of_the_library(client: httpx.Client, predictor: Predictor) -> None:
    answer = client.post(f"/v1/models/{MODEL}/predict", json={"inputs": TEXTS})
    assert answer.status_code == 200
    for result, wanted in zip(answer.json()["results"], scores(predictor, TEXTS), strict=True):
        assert {label["label"]: label["score"] for label in result["labels"]} == pytest.approx(wanted, abs=1e-6)


def test_every_gate_arrives_as_safetensors(client: httpx.Client, predictor: Predictor) -> None:
    accept = {"accept": "application/vnd.safetensors"}
    answer = client.post(f"/v1/models/{MODEL}/inspect", json={"inputs": TEXTS}, headers=accept)
    shown = load(answer.content)
    for n, wanted in enumerate(predictor.predict(TEXTS, Inspection(tensors=GATES))):
        assert wanted.inside is not None
        for name in GATES:
            np.testing.assert_allclose(shown[f"r{n}.{name}"], wanted.inside.tensors[name], atol=1e-6)


def test_a_stream_goes_on_at_the_other_replica_bit_for_bit(served: Served, weights_dir: Path) -> None:
    pieces = ["酒店", "不", "错，服", "务\n", "e", "\u0301", "很好"]
    found, state = [], None
    for url, piece in zip(itertools.cycle(served.replicas()), pieces, strict=False):
        step = httpx.post(f"{url}/v1/models/{MODEL}/step", json={"text": piece, "state": state}, trust_env=False)
        assert step.status_code == 200, step.text
        state = step.json()["state"]
        found.append((step.json()["timestep"], step.json()["results"]))
    assert found == list(expected(weights_dir / MODEL, pieces))


def test_a_websocket_passes_through(served: Served) -> None:
    async def frames() -> list[Any]:
        url = served.url.replace("http", "ws") + f"/v1/models/{MODEL}/stream"
        async with websockets.connect(url, proxy=None) as socket:
            await socket.send(json.dumps({"text": "酒店不错"}))
            read = [json.loads(await socket.recv()) for _ in range(4)]
            await socket.send(json.dumps({"done": True}))
            return [*read, json.loads(await socket.recv())]

    *read, done = asyncio.run(frames())
    assert [frame["timestep"] for frame in read] == [1, 2, 3, 4]
    assert done == {"done": True, "timestep": 4}


def test_an_answer_has_one_request_id(client: httpx.Client) -> None:
    answer = client.get("/health/live", headers={"x-request-id": "abc"})
    assert answer.headers.get_list("x-request-id") == ["abc"]


def test_a_problem_stays_one(client: httpx.Client) -> None:
    answer = client.post(f"/v1/models/{MODEL}/predict", json={"inputs": ""})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["error_type"] == "empty_text"


def test_a_replica_killed_under_load_loses_no_request_and_is_replaced(served: Served, predictor: Predictor) -> None:
    """Short texts, and batches too large for HAProxy to keep and send again: those the client sends again."""
    batches = [TEXTS[:1], [text * 40 for text in TEXTS] * 12]
    wanted = [scores(predictor, batch) for batch in batches]
    ended, before = threading.Event(), served.pids()
    assert len(before) == 2

    def ask(n: int) -> int:
        answered = 0
        with Client(served.url) as client:
            while not ended.is_set():
                results = client.predict(batches[n % 2], MODEL).results
                for result, scores_of_text in zip(results, wanted[n % 2], strict=True):
                    assert {x.label: x.score for x in result.labels or ()} == pytest.approx(scores_of_text, abs=1e-6)
                answered += 1
        return answered

    with ThreadPoolExecutor(8) as clients:
        asking = [clients.submit(ask, n) for n in range(8)]
        try:
            for _ in range(2):
                time.sleep(1)
                running_now = served.pids()
                os.kill(min(running_now), signal.SIGKILL)
                wait_until(lambda gone=running_now: len(served.pids() - gone) == 1 and len(served.replicas()) == 2)
        finally:
            ended.set()
        answered = [future.result() for future in asking]
    assert min(answered) > 0
    assert not served.pids() & {min(before)}
