"""Two servers with one state key, killed at random while a client feeds a text step by step: nothing is lost.

The client sends each step to a server drawn at random and, where that one is gone, sends the same step to the other. At
the end every answer has to be that of the same steps on one machine without a server, bit for bit.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import torch

from models.checkpoint.checkpoint import load_checkpoint
from models.inference.predictor import Predictor
from models.inference.streaming import Streamer
from models.runtime.cpu.fused import FusedRunner
from models.runtime.cpu.tables import tabulate
from service.sealing import random_key
from service.settings import Settings

from .results import Results

_PIECES = ("好", "不", "酒店", "的 ", "房间", "\n", "e", "\u0301", "😀", "！！", "a b", "，")


class Replica:
    """One server process, started anew after each kill."""

    def __init__(self, folder: Path, key: str, environment: dict[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = {"WEIGHTS_DIR": str(folder), "PORT": str(self.port), "STATE_KEY": key, "LOG_LEVEL": "error"}
        self.environment = environment | {f"GATESCOPE_{name}": value for name, value in settings.items()}
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "service", "serve"], env=self.environment)

    def is_ready(self) -> bool:
        try:
            return self.client.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.kill()
        self.client.close()


@contextmanager
def pair(folder: Path) -> Iterator[list[Replica]]:
    key = random_key()
    replicas = [Replica(folder, key, dict(os.environ)) for _ in range(2)]
    try:
        while not all(replica.is_ready() for replica in replicas):
            time.sleep(0.1)
        yield replicas
    finally:
        for replica in replicas:
            replica.stop()


class Killer(threading.Thread):
    """Kills one of the two after a random time, starts it again, and waits until it is ready before the next."""

    def __init__(self, replicas: list[Replica], every_s: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.replicas, self.every_s, self.draw = replicas, every_s, random.Random(seed)
        self.kills, self.ended = 0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(self.draw.uniform(0, 2 * self.every_s)):
            replica = self.draw.choice(self.replicas)
            replica.kill()
            self.kills += 1
            replica.start()
            while not self.ended.is_set() and not replica.is_ready():
                time.sleep(0.1)


def run(weights: Path, model: str, steps: int, every_s: float, seed: int = 0) -> Results:
    """Feed `steps` chunks, and count the answers that are lost or differ.

    every_s: seconds between kills, on average.
    """
    draw = random.Random(seed)
    pieces = [draw.choice(_PIECES) for _ in range(steps)]
    with pair(weights / model) as replicas:
        killer = Killer(replicas, every_s, seed)
        killer.start()
        answers, repeated, lost = _fed(replicas, model, pieces, draw)
        killer.ended.set()
        killer.join()
    different = sum(got != want for got, want in zip(answers, expected(weights / model, pieces), strict=True))
    return {"steps": steps, "kills": killer.kills, "repeated": repeated, "lost": lost, "different": different}


def _fed(replicas: list[Replica], model: str, pieces: list[str], draw: random.Random) -> tuple[list[Any], int, int]:
    """(timestep and results of each step, how often a step was sent again, how many steps no server answered)"""
    answers: list[Any] = []
    state, repeated, lost = None, 0, 0
    for piece in pieces:
        order = draw.sample(replicas, 2) * 100
        for replica in order:
            try:
                asked = {"text": piece, "state": state}
                answer = replica.client.post(f"/v1/models/{model}/step", json=asked)
            except httpx.TransportError:
                repeated += 1
                continue
            if answer.status_code == 503:  # it loads
                repeated += 1
                time.sleep(0.02)
                continue
            answer.raise_for_status()
            found = answer.json()
            state = found["state"]
            answers.append((found["timestep"], found["results"]))
            break
        else:
            lost += 1
            answers.append(None)
    return answers, repeated, lost


def expected(folder: Path, pieces: list[str]) -> Iterator[Any]:
    """The same on this machine, without a server."""
    predictor = Predictor(load_checkpoint(folder), torch.device("cpu"))
    if isinstance(predictor.runner, FusedRunner):
        tabulate([predictor.runner], 1_000_000 * Settings().table_cache_mb)  # as a server of this model alone
    streamer = Streamer(predictor)
    state = streamer.begin()
    for piece in pieces:
        (step,) = streamer.run([streamer.prepare(state, piece)])
        state = step.state
        results = [
            {
                "labels": [{"label": label, "score": score} for label, score in answer.scores or ()],
                "tokens": answer.timestep,
                "known_fraction": round(answer.known_fraction, 4),
            }
            for answer in step.answers
        ]
        yield step.timestep, results
