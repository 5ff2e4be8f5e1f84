"""A machine that fails under the server: a full disk, a wall clock that jumps."""

import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

from .ending import all_ready
from .servers import MODEL, TEXTS, Measured, Server, are_equal, server

_INSPECT = f"/v1/models/{MODEL}/inspect"
_STEP = f"/v1/models/{MODEL}/step"


def full_disk(cramped: Server, workers: int, asks: int) -> Measured:
    """No worker can write a byte to any file: not its log, its metrics nor what the workers tell each other.

    A limit on the size of files, set to 0 while the server runs, stands for the disk: every write fails, as on a full
    one, and it needs no right to mount anything.
    """
    all_ready(cramped, workers)
    before = cramped.scores(list(TEXTS))
    for pid in cramped.children():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    time.sleep(2.5)  # in which every worker tries to write its metrics
    predictions = [cramped.client.post(cramped.predict, json={"inputs": list(TEXTS)}) for _ in range(asks)]
    metrics = _statuses(cramped, "/metrics", 10)
    load = cramped.client.post(f"/v2/repository/models/{MODEL}/load")
    alive = _statuses(cramped, "/health/live", 10)
    for pid in cramped.children():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    again = cramped.client.post(f"/v2/repository/models/{MODEL}/load")
    time.sleep(2.5)
    counted = [cramped.metric("texts_total") for _ in range(10)]
    after = cramped.scores(list(TEXTS))
    return {
        "asked": asks,
        "failed": sum(answer.status_code != 200 for answer in predictions),
        "same_answers": are_equal(before, after),
        "metrics_statuses": sorted(metrics),
        "load_status": load.status_code,
        "load_says": load.json().get("error", ""),
        "alive_statuses": sorted(alive),
        "load_status_after": again.status_code,
        "texts_counted": min(counted),
        "texts_asked": len(TEXTS) * (asks + 1),  # at the least
    }


def _statuses(asked: Server, path: str, count: int) -> set[int]:
    """Of so many requests, each on a connection of its own: any worker may take it."""
    return {asked.client.get(path, headers={"connection": "close"}).status_code for _ in range(count)}


def clock(weights: Path) -> Measured:
    """The wall clock is set back a day under a running server, and then forward two."""
    heavy = {"inputs": ["字" * 500] * 128, "reduce": ["mean"]}
    with server(weights, module="tests.stress.set_back") as asked:
        token = _step(asked, None).json()["state"]
        counters = _counters(asked)
        os.kill(asked.pid, signal.SIGUSR1)
        time.sleep(0.2)
        answers = [asked.client.post(asked.predict, json={"inputs": list(TEXTS)}) for _ in range(20)]
        usages = [answer.json()["usage"] for answer in answers]
        began = time.monotonic()
        late = asked.client.post(_INSPECT, json=heavy, headers={"x-deadline-ms": "50"})
        late_s = time.monotonic() - began
        step_back = _step(asked, token)
        new_token = step_back.json().get("state")
        after = _counters(asked)
        os.kill(asked.pid, signal.SIGUSR2)
        time.sleep(0.2)
        expired = _step(asked, new_token)
        fresh = _step(asked, None)
        predicted = asked.client.post(asked.predict, json={"inputs": "x"}).status_code
    return {
        "statuses": sorted({answer.status_code for answer in answers}),
        "least_time_ms": min(min(usage["queue_ms"], usage["compute_ms"]) for usage in usages),
        "longest_time_ms": max(max(usage["queue_ms"], usage["compute_ms"]) for usage in usages),
        "deadline_status": late.status_code,
        "deadline_after_s": late_s,
        "token_of_before": step_back.status_code,
        "fallen_counters": sorted(name for name, value in counters.items() if after.get(name, 0.0) < value),
        "seconds_counted": after["request_seconds_sum"] - counters["request_seconds_sum"],
        "token_of_yesterday": expired.status_code,
        "fresh_token": fresh.status_code,
        "predicted_after": predicted,
    }


def _step(asked: Server, state: str | None) -> Any:
    return asked.client.post(_STEP, json={"text": "好", "state": state})


def _counters(asked: Server) -> dict[str, float]:
    names = ("request_seconds_count", "request_seconds_sum", "queue_seconds_sum", "compute_seconds_sum", "texts_total")
    return {name: asked.metric(name) for name in (*names, "answers_total", "tokens_total")}
