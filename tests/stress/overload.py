"""More requests than the server can answer, and clients that do not wait for the answer."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.load import load
from bench.open_load import Arrivals, Outcome, open_load
from bench.peers.client import Writer, clients
from bench.peers.table import HOST

from .servers import Measured, Server, are_equal, scores

FACTORS = (0.5, 1.0, 2.0, 4.0, 10.0)
QUEUE_TOKENS = 16_384
_BATCH = 32  # texts of usual length in a request: a client on one core can send ten times what the server answers


def overload(
    loaded: Server, weights: Path, rounds: int, seconds: float, factors: Sequence[float] = FACTORS
) -> Measured:
    """Open-loop load at multiples of the capacity, which is that of a closed loop of sixteen clients.

    Every round has all multiples, each for so many seconds; the figures are those of the round with the median goodput,
    and the share of the peak is the median of the rounds'. A latency counts from the moment at which its request was
    due. The queue's bound is the time in which a full queue drains: its tokens over the tokens a second of the capacity.

    loaded: with `max_queue_tokens=QUEUE_TOKENS`; weights: its folder.
    """
    texts = Writer.for_model(weights / loaded.model).usual(300 * _BATCH, seed=1)
    batches = [texts[n : n + _BATCH] for n in range(0, len(texts), _BATCH)]
    found: dict[float, list[Outcome]] = {factor: [] for factor in factors}
    with clients(1) as pool:
        requests = loaded.requests(batches)
        before = loaded.metric("tokens_total")
        closed = pool.submit(load, HOST, loaded.port, requests, 16, 1.0, seconds).result()
        tokens = (loaded.metric("tokens_total") - before) / (seconds + 1.0)
        for turn in range(rounds):
            for factor in factors:
                arrivals = Arrivals(closed.per_second * factor, seconds, seed=turn)
                found[factor].append(pool.submit(open_load, HOST, loaded.port, requests, arrivals).result())
    peaks = [max(found[factor][turn].goodput for factor in factors) for turn in range(rounds)]
    shares = [each.goodput / peak for each, peak in zip(found[factors[-1]], peaks, strict=True)]
    return {
        "model": loaded.model,
        "capacity": closed.per_second,
        "rounds": rounds,
        "queue_tokens": QUEUE_TOKENS,
        "queue_bound_ms": 1000 * QUEUE_TOKENS / tokens,
        "loads": {f"{factor:g}": _figures(_median(outcomes)) for factor, outcomes in found.items()},
        "share_of_peak": sorted(shares)[rounds // 2],
        "unanswered": sum(each.unanswered for outcomes in found.values() for each in outcomes),
        "statuses": sorted({status for outcomes in found.values() for each in outcomes for status in each.statuses}),
        "alive": loaded.client.get("/health/live").status_code,
    }


def _median(outcomes: Sequence[Outcome]) -> Outcome:
    return sorted(outcomes, key=lambda each: each.goodput)[len(outcomes) // 2]


def _figures(found: Outcome) -> Measured:
    return {
        "due": found.due,
        "goodput": found.goodput,
        "p50_ms": found.percentile(0.5),
        "p99_ms": found.percentile(0.99),
        "statuses": {str(status): count for status, count in sorted(found.statuses.items())},
        "unsent": found.unsent,
        "unanswered": found.unanswered,
        "client_late_ms": found.latest_ms,
    }


def _waiting_after(server: Server, within_s: float = 5.0) -> float:
    """Tokens that still wait when the last clients, which left in the middle, have had time to be missed."""
    until = time.monotonic() + within_s
    while (waiting := server.metric("queue_tokens")) and time.monotonic() < until:
        time.sleep(0.05)
    return waiting


def departures(left: Server, texts: Sequence[Any], share: float, seconds: float) -> Measured:
    """Of the clients 30 % close their connection before the answer; the others must get theirs, and it must be right.

    Capacity before and after is that of a closed loop of eight clients; the load is this share of it. lost: neither
    answered nor refused with 429.
    """
    with clients(1) as pool:
        requests = left.requests(texts)
        expected = [left.scores(each) for each in texts]
        before = pool.submit(load, HOST, left.port, requests, 8, 0.5, seconds / 2).result()
        rate = share * before.per_second
        arrivals = Arrivals(rate, seconds, leaving=0.3, leaves_within_s=0.02, seed=3)
        found = pool.submit(open_load, HOST, left.port, requests, arrivals, 30.0, True).result()
        after = pool.submit(load, HOST, left.port, requests, 8, 0.5, seconds / 2).result()
        wrong = sum(not are_equal(scores(body), expected[number]) for number, body in found.answers)
        return {
            "model": left.model,
            "rate": rate,
            "due": found.due,
            "left": found.left,
            "answered": found.statuses[200],
            "wrong": wrong,
            "refused": found.statuses[429],
            "lost": found.due - found.left - found.unsent - found.statuses[200] - found.statuses[429],
            "waiting_after": _waiting_after(left),
            "capacity_before": before.per_second,
            "capacity_after": after.per_second,
        }
