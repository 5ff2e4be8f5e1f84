"""Servers side by side: requests/s and latency of ours, its peers and FastAPI itself; and what ours is like alone.

The server has core 0, the load core 1. In a round every contender in turn is started, warmed, loaded and stopped, so
that nobody's idle peers take its cycles; ratios are taken within a round. Nothing here is written to disk but logs.
"""

import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from .load import Load, load, request
from .peers.client import Writer, clients, one_by_one
from .peers.equal import OutputsDiffer, largest_difference, scores_of
from .peers.memory import resident
from .peers.processes import Running, ServerFailed, cores, running
from .peers.table import BF16, HOST, MODEL, NOOP, OURS, PEERS, Contender, known, ours, unavailable
from .ratios import Spread, rotated

Found = dict[str, Any]
_WARM_S = 2.0
_CEILING = 16_000  # requests/s that no contender reaches: so many texts are made for each second
_CLIENT_BOUND = 0.95  # share of its core beyond which it is the client that was measured
_SAFETENSORS = "application/vnd.safetensors"


def measure(
    rounds: int,
    seconds: float,
    contenders: Sequence[str] | None = None,
    connections: int = 64,
    model: Path = MODEL,
    warm_s: float = _WARM_S,
) -> Found:
    """Load every contender in every round; outputs are held against ours before anything is timed.

    contenders: names of `bench.peers.table.known`; None: all of them.
    Returns: contenders (name -> spreads of requests_per_second, p50_ms, p99_ms, failed, client_cpu, and the rounds),
             ratios ("ours/noop" -> median, low, high), best (peer -> its faster configuration), score_differences,
             left_out (name -> why: a peer that does not start or answers otherwise) and notes.
    Raises:  ServerFailed where ours does not start or anybody fails later; InstallFailed; KeyError for an unknown name.
    """
    every = known(model)
    asked = list(contenders or every)
    left_out = {name: why for name in asked if (why := unavailable(name))}
    writer = Writer.of(model)
    able = {name: every[name] for name in asked if name not in left_out}
    differences, unfit = _compare(able, every[OURS], writer.usual(50, seed=0))
    left_out |= unfit
    chosen = {name: its for name, its in able.items() if name not in left_out}
    found: dict[str, list[Found]] = {name: [] for name in chosen}
    for turn in range(rounds):
        texts = writer.usual(int(_CEILING * (warm_s + seconds)), seed=turn + 1)
        for name in rotated(list(chosen), turn):
            with running(chosen[name]) as server:
                found[name].append(_round(_loaded(server, texts, connections, warm_s, seconds), len(texts)))
            _say(f"round {turn + 1} of {rounds}: {name} {found[name][-1]['requests_per_second']:.0f} requests/s")
    return {
        "rounds": rounds, "seconds": seconds, "connections": connections, "model": model.name,
        "contenders": {name: _summary(its) for name, its in found.items()},
        **_compared({name: [r["requests_per_second"] for r in its] for name, its in found.items()}),
        "score_differences": differences, "left_out": left_out, "notes": _notes(found),
    }  # fmt: skip


def _compare(
    able: Mapping[str, Contender], reference: Contender, texts: Sequence[str]
) -> tuple[dict[str, float], dict[str, str]]:
    """(the largest difference from ours in a score, of everybody that has a model; why somebody cannot take part)."""
    others = [contender for name, contender in able.items() if name not in (OURS, NOOP)]
    if not others:
        return {}, {}
    _say("are outputs equal?")
    with running(reference) as server:
        wanted = scores_of(server, texts)
    differences, unfit = {}, {}
    for contender in others:
        try:
            with running(contender) as server:
                differences[contender.name] = largest_difference(contender.name, scores_of(server, texts), wanted)
        except (ServerFailed, OutputsDiffer) as error:
            unfit[contender.name] = str(error)
            _say(str(error))
    return differences, unfit


def _loaded(server: Running, texts: Sequence[str], connections: int, warm_s: float, seconds: float) -> Load:
    requests = [server.contender.request(server.port, text) for text in texts]
    with clients(1) as pool:
        return pool.submit(load, HOST, server.port, requests, connections, warm_s, seconds).result()


def _round(its: Load, texts: int) -> Found:
    """texts_repeat: more were sent than were made, so that one was sent twice."""
    return {
        "requests_per_second": its.per_second, "p50_ms": its.percentile(0.5), "p99_ms": its.percentile(0.99),
        "failed": its.failed, "client_cpu": its.client_cpu, "texts_repeat": its.sent > texts,
    }  # fmt: skip


def _summary(rounds: Sequence[Found]) -> Found:
    spread = ("requests_per_second", "p50_ms", "p99_ms", "failed", "client_cpu")
    return {**{name: _spread(r[name] for r in rounds) for name in spread}, "rounds": list(rounds)}


def _compared(speeds: Mapping[str, Sequence[float]]) -> Found:
    """Ratios of requests/s within each round: ours over everybody else's, and ours in bfloat16 too."""
    best = {}
    for peer in PEERS:
        its = [name for name in speeds if name.startswith(f"{peer}-")]
        if its:
            best[peer] = max(its, key=lambda name: statistics.median(speeds[name]))
    ratios = {}
    for mine in (m for m in (OURS, BF16) if m in speeds):
        for name in speeds:
            if name not in (OURS, BF16):
                ratios[f"{mine}/{name}"] = _spread(a / b for a, b in zip(speeds[mine], speeds[name], strict=True))
    return {"ratios": ratios, "best": best}


def _notes(found: Mapping[str, Sequence[Found]]) -> list[str]:
    notes = [] if cores() > 1 else ["one core alone: server and load share it, so ratios are drawn towards 1"]
    for name, rounds in found.items():
        busy = statistics.median(r["client_cpu"] for r in rounds)
        if busy > _CLIENT_BOUND:
            notes.append(f"{name}: the client was busy for {busy:.0%}, so it is the client that was measured")
        if failed := sum(r["failed"] for r in rounds):
            notes.append(f"{name}: {failed} requests failed")
        if name != NOOP and any(r["texts_repeat"] for r in rounds):
            notes.append(f"{name}: it answered more than {_CEILING} requests/s, so texts were sent twice")
    return notes


def measure_latency(rounds: int, requests: int = 100, tokens: int = 64, model: Path = MODEL) -> Found:
    """One client, one request at a time, of ours: predict and inspect (every tensor, safetensors) in turn.

    requests: of each kind in a round. Returns: spreads over the rounds of predict_ms and inspect_ms, each a round's
    median, of their p99, and of their ratio within the round; answer_bytes of an inspect. Raises: as `measure`.
    """
    writer, warm = Writer.of(model), 20
    texts = iter(writer.long(2 * (warm + requests) * rounds, tokens, seed=0))
    taken = []
    with running(ours(OURS, model)) as server, clients(1) as pool:
        for _ in range(rounds):
            pairs = [_pair(server, next(texts), next(texts)) for _ in range(warm + requests)]
            asked = [request for pair in pairs for request in pair]
            took, sizes = pool.submit(one_by_one, server.port, asked).result()
            taken.append((sorted(took[2 * warm :: 2]), sorted(took[2 * warm + 1 :: 2]), sizes[-1]))
    medians = [(statistics.median(predict), statistics.median(inspect)) for predict, inspect, _ in taken]
    p99 = int(0.99 * requests)
    return {
        "rounds": rounds, "requests": requests, "tokens": tokens, "model": model.name, "answer_bytes": taken[-1][2],
        "predict_ms": _spread(predict for predict, _ in medians),
        "inspect_ms": _spread(inspect for _, inspect in medians),
        "predict_p99_ms": _spread(predict[p99] for predict, _, _ in taken),
        "inspect_p99_ms": _spread(inspect[p99] for _, inspect, _ in taken),
        "ratio": _spread(inspect / predict for predict, inspect in medians),
    }  # fmt: skip


def _pair(server: Running, to_predict: str, to_inspect: str) -> tuple[bytes, bytes]:
    path = server.contender.path.replace("/predict", "/inspect")
    inspect = request(HOST, server.port, path, orjson.dumps({"inputs": to_inspect}), _SAFETENSORS)
    return server.contender.request(server.port, to_predict), inspect


def measure_liveness(rounds: int, seconds: float, connections: int = 64, model: Path = MODEL) -> Found:
    """GET /health/live every 5 ms, on a connection and from a process of its own, while predict is loaded fully.

    Returns: for "usual" texts and "long" ones of 2000 tokens: spreads over the rounds of p50_ms, p99_ms, highest_ms and
    failed of the probe, and of requests_per_second and failed_requests of the load. Raises: as `measure`.
    """
    writer, whole = Writer.of(model), _WARM_S + seconds
    found: dict[str, list[Found]] = {"usual": [], "long": []}
    with running(ours(OURS, model)) as server, clients(2) as pool:
        probe = [request(HOST, server.port, "/health/live", method="GET")]
        for turn in range(rounds):
            usual = writer.usual(int(_CEILING * whole), seed=turn + 1)
            for name, texts in (("usual", usual), ("long", writer.long(int(500 * whole), 2000, seed=turn + 1))):
                asked = [server.contender.request(server.port, text) for text in texts]
                full = pool.submit(load, HOST, server.port, asked, connections, _WARM_S, seconds)
                beside = pool.submit(load, HOST, server.port, probe, 1, _WARM_S, seconds, 0.005).result()
                found[name].append(_probed(beside, full.result()))
    return {name: {k: _spread(r[k] for r in its) for k in its[0]} | {"rounds": its} for name, its in found.items()}


def _probed(probe: Load, full: Load) -> dict[str, float]:
    return {
        "p50_ms": probe.percentile(0.5), "p99_ms": probe.percentile(0.99), "highest_ms": probe.latencies[-1],
        "failed": probe.failed, "requests_per_second": full.per_second, "failed_requests": full.failed,
    }  # fmt: skip


def measure_memory(weights: Path = Path("weights")) -> Found:
    """What ours holds in memory at rest with all of these models loaded, in bytes; see `bench.peers.memory.resident`.

    Raises: ServerFailed.
    """
    with running(ours("ours-all", weights)) as server:
        return resident(server, weights)


def _spread(values: Any) -> dict[str, float]:
    return Spread.of(list(values)).stored()


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
