"""Processes that end while they are asked: on SIGTERM, and killed."""

import concurrent.futures
import os
import signal
import time
from pathlib import Path

from bench.load import Connection, request
from bench.open_load import Arrivals, open_load
from bench.peers.client import clients
from bench.peers.table import HOST

from .servers import TEXTS, Measured, Server, server


def terminations(weights: Path, rate: float, rounds: int, workers: int = 1) -> Measured:
    """SIGTERM in the middle of an open-loop load, whose clients keep their connections in every second round.

    A connection that is refused is not lost: its client asks another replica. Lost is a request that was sent on an
    open connection and never answered.
    """
    answered = refused = lost = wrong = 0
    for turn in range(rounds):
        with server(weights, drain_ms=500, workers=workers) as stopped, clients(1) as pool:
            arrivals = Arrivals(rate, 4.0, keeps=turn % 2 == 0, seed=turn)
            requests = stopped.requests(TEXTS)
            found = pool.submit(open_load, HOST, stopped.port, requests, arrivals)
            with Connection(HOST, stopped.port) as watching:
                while not _has_begun(watching, stopped) and not found.done():
                    time.sleep(0.05)
            os.kill(stopped.pid, signal.SIGTERM)
            outcome = found.result()
            answered, refused = answered + outcome.statuses[200], refused + outcome.refused
            lost += outcome.statuses[0] + outcome.unanswered
            wrong += sum(count for status, count in outcome.statuses.items() if status not in (0, 200))
    return {
        "rate": rate,
        "rounds": rounds,
        "workers": workers,
        "answered": answered,
        "refused_connections": refused,
        "lost": lost,
        "other_statuses": wrong,
    }


def _has_begun(watching: Connection, server: Server) -> bool:
    _, body = watching.ask(request(HOST, server.port, "/metrics", method="GET"))
    lines = [line for line in body.decode().splitlines() if line.startswith("gatescope_texts_total ")]
    return bool(lines) and float(lines[0].split()[1]) > 100


def kills(hit: Server, workers: int, rounds: int) -> Measured:
    """SIGKILL to one of the workers while clients ask on a new connection each time.

    unanswered: connections that the killed worker held; failed: any answer but 200. Seconds until there are again as
    many workers that are ready.
    """
    seconds: list[float] = []
    all_ready(hit, workers)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        stop: list[bool] = []
        asking = [pool.submit(_ask_until, hit, stop) for _ in range(2)]
        for turn in range(rounds):
            os.kill(hit.children()[0], signal.SIGKILL)
            seconds.append(all_ready(hit, workers + turn + 1))
        stop.append(True)
        tallies = [each.result() for each in asking]
    return {
        "workers": workers,
        "kills": rounds,
        "asked": sum(tally[0] for tally in tallies),
        "unanswered": sum(tally[1] for tally in tallies),
        "failed": sum(tally[2] for tally in tallies),
        "back_s": max(seconds),
        "back_median_s": sorted(seconds)[len(seconds) // 2],
    }


def _ask_until(hit: Server, stop: list[bool]) -> tuple[int, int, int]:
    """(asked, unanswered, failed); a worker that loads is asked again, as its 503 says."""
    asked = unanswered = failed = 0
    ask = request(HOST, hit.port, hit.predict, b'{"inputs": "x"}')
    while not stop:
        asked += 1
        try:
            with Connection(HOST, hit.port, 20.0) as connection:
                status, _ = connection.ask(ask)
            failed += status not in (200, 503)
        except OSError:
            unanswered += 1
        time.sleep(0.01)
    return asked, unanswered, failed


def all_ready(hit: Server, starts: int) -> float:
    """Seconds until so many starts of workers have ended with all models loaded, as each says in the log."""
    began = time.monotonic()
    while hit.log.count("ready: ") < starts:
        assert time.monotonic() - began < 120, "a worker never came back"
        time.sleep(0.01)
    return time.monotonic() - began
