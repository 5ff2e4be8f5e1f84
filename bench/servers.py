"""Servers side by side: requests/s and latency of ours, its peers and FastAPI alone; liveness and memory of ours.

The server runs on core 0, the load on core 1. In a round every contender in turn is started, warmed up, loaded and
stopped, so that idle peers take no CPU time; ratios are taken within a round. Only logs are written to disk.
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

Measured = dict[str, Any]
_WARM_S = 2.0
_CEILING = 16_000  # requests/s that no contender reaches: the number of texts made for each second
_CLIENT_BOUND = 0.95  # CPU share of the client above which it, not the server, is the bottleneck
_SAFETENSORS = "application/vnd.safetensors"


def measure(
    rounds: int,
    seconds: float,
    contenders: Sequence[str] | None = None,
    connections: int = 64,
    model: Path = MODEL,
    warm_s: float = _WARM_S,
) -> Measured:
    """Loads every contender in every round, after checking that its outputs equal ours.

    contenders: names of `bench.peers.table.known`; None: all of them.
    Returns: contenders (name -> spreads of requests_per_second, p50_ms, p99_ms, failed, client_cpu, and the rounds),
             ratios ("ours/noop" -> median, low, high), best (peer -> its faster configuration), score_differences,
             left_out (name -> reason: a peer that does not start or gives other answers) and notes.
    Raises:  ServerFailed where ours does not start or a contender fails later; InstallFailed; KeyError for an unknown
             name.
    """
    by_name = known(model)
    names = list(contenders or by_name)
    left_out = {name: reason for name in names if (reason := unavailable(name))}
    writer = Writer.for_model(model)
    available = {name: by_name[name] for name in names if name not in left_out}
    differences, unequal = _compare(available, by_name[OURS], writer.usual(50, seed=0))
    left_out |= unequal
    taking_part = {name: contender for name, contender in available.items() if name not in left_out}
    rounds_by_name: dict[str, list[Measured]] = {name: [] for name in taking_part}
    for turn in range(rounds):
        texts = writer.usual(int(_CEILING * (warm_s + seconds)), seed=turn + 1)
        for name in rotated(list(taking_part), turn):
            with running(taking_part[name]) as server:
                measured = _round(_loaded(server, texts, connections, warm_s, seconds), len(texts))
            rounds_by_name[name].append(measured)
            _say(f"round {turn + 1} of {rounds}: {name} {measured['requests_per_second']:.0f} requests/s")
    return {
        "rounds": rounds,
        "seconds": seconds,
        "connections": connections,
        "model": model.name,
        "contenders": {name: _summary(measured) for name, measured in rounds_by_name.items()},
        **_ratios({name: [r["requests_per_second"] for r in measured] for name, measured in rounds_by_name.items()}),
        "score_differences": differences,
        "left_out": left_out,
        "notes": _notes(rounds_by_name),
    }


def _compare(
    contenders: Mapping[str, Contender], reference: Contender, texts: Sequence[str]
) -> tuple[dict[str, float], dict[str, str]]:
    """(largest difference of a score from ours, for each contender with a model; name -> why it cannot take part)."""
    others = [contender for name, contender in contenders.items() if name not in (OURS, NOOP)]
    if not others:
        return {}, {}
    _say("comparing outputs")
    with running(reference) as server:
        expected = scores_of(server, texts)
    differences, unequal = {}, {}
    for contender in others:
        try:
            with running(contender) as server:
                differences[contender.name] = largest_difference(contender.name, scores_of(server, texts), expected)
        except (ServerFailed, OutputsDiffer) as error:
            unequal[contender.name] = str(error)
            _say(str(error))
    return differences, unequal


def _loaded(server: Running, texts: Sequence[str], connections: int, warm_s: float, seconds: float) -> Load:
    requests = [server.contender.request(server.port, text) for text in texts]
    with clients(1) as pool:
        return pool.submit(load, HOST, server.port, requests, connections, warm_s, seconds).result()


def _round(result: Load, texts: int) -> Measured:
    """One round's figures. texts_repeat: more requests were sent than there were texts, so texts were sent twice."""
    return {
        "requests_per_second": result.per_second,
        "p50_ms": result.percentile(0.5),
        "p99_ms": result.percentile(0.99),
        "failed": result.failed,
        "client_cpu": result.client_cpu,
        "texts_repeat": result.sent > texts,
    }


def _summary(rounds: Sequence[Measured]) -> Measured:
    spread = ("requests_per_second", "p50_ms", "p99_ms", "failed", "client_cpu")
    return {**{name: _spread(r[name] for r in rounds) for name in spread}, "rounds": list(rounds)}


def _ratios(speeds: Mapping[str, Sequence[float]]) -> Measured:
    """Ratios of requests/s within each round, ours and ours in bfloat16 over the others; each peer's best."""
    best = {}
    for peer in PEERS:
        configurations = [name for name in speeds if name.startswith(f"{peer}-")]
        if configurations:
            best[peer] = max(configurations, key=lambda name: statistics.median(speeds[name]))
    ratios = {}
    for our_name in (name for name in (OURS, BF16) if name in speeds):
        for name in speeds:
            if name not in (OURS, BF16):
                within_rounds = zip(speeds[our_name], speeds[name], strict=True)
                ratios[f"{our_name}/{name}"] = _spread(a / b for a, b in within_rounds)
    return {"ratios": ratios, "best": best}


def _notes(rounds_by_name: Mapping[str, Sequence[Measured]]) -> list[str]:
    notes = [] if cores() > 1 else ["one core alone: server and load share it, so ratios are drawn towards 1"]
    for name, rounds in rounds_by_name.items():
        busy = statistics.median(r["client_cpu"] for r in rounds)
        if busy > _CLIENT_BOUND:
            notes.append(f"{name}: the client was busy for {busy:.0%}, so it is the client that was measured")
        if failed := sum(r["failed"] for r in rounds):
            notes.append(f"{name}: {failed} requests failed")
        if name != NOOP and any(r["texts_repeat"] for r in rounds):
            notes.append(f"{name}: it answered more than {_CEILING} requests/s, so texts were sent twice")
    return notes


def measure_latency(rounds: int, requests: int = 100, tokens: int = 64, model: Path = MODEL) -> Measured:
    """Latency of ours for one client, one request at a time: predict and inspect (every tensor, safetensors) in turn.

    requests: of each kind in a round. Returns: spreads over the rounds of predict_ms and inspect_ms, each a round's
    median, of their p99, and of their ratio within the round; answer_bytes of an inspect. Raises: as `measure`.
    """
    writer, warm = Writer.for_model(model), 20
    texts = iter(writer.long(2 * (warm + requests) * rounds, tokens, seed=0))
    latencies = []
    with running(ours(OURS, model)) as server, clients(1) as pool:
        for _ in range(rounds):
            pairs = [_pair(server, next(texts), next(texts)) for _ in range(warm + requests)]
            requests_in_turn = [request for pair in pairs for request in pair]
            times, sizes = pool.submit(one_by_one, server.port, requests_in_turn).result()
            latencies.append((sorted(times[2 * warm :: 2]), sorted(times[2 * warm + 1 :: 2])))
    medians = [(statistics.median(predict), statistics.median(inspect)) for predict, inspect in latencies]
    p99 = int(0.99 * requests)
    return {
        "rounds": rounds,
        "requests": requests,
        "tokens": tokens,
        "model": model.name,
        "answer_bytes": sizes[-1],
        "predict_ms": _spread(predict for predict, _ in medians),
        "inspect_ms": _spread(inspect for _, inspect in medians),
        "predict_p99_ms": _spread(predict[p99] for predict, _ in latencies),
        "inspect_p99_ms": _spread(inspect[p99] for _, inspect in latencies),
        "ratio": _spread(inspect / predict for predict, inspect in medians),
    }


def _pair(server: Running, to_predict: str, to_inspect: str) -> tuple[bytes, bytes]:
    path = server.contender.path.replace("/predict", "/inspect")
    inspect = request(HOST, server.port, path, orjson.dumps({"inputs": to_inspect}), _SAFETENSORS)
    return server.contender.request(server.port, to_predict), inspect


def measure_liveness(rounds: int, seconds: float, connections: int = 64, model: Path = MODEL) -> Measured:
    """GET /health/live every 5 ms, from a separate process and connection, while predict is under full load.

    Returns: for "usual" texts and "long" ones of 2000 tokens: spreads over the rounds of p50_ms, p99_ms, highest_ms and
    failed of the probe, and of requests_per_second and failed_requests of the load. Raises: as `measure`.
    """
    writer, total_s = Writer.for_model(model), _WARM_S + seconds
    rounds_by_name: dict[str, list[Measured]] = {"usual": [], "long": []}
    with running(ours(OURS, model)) as server, clients(2) as pool:
        probe = [request(HOST, server.port, "/health/live", method="GET")]
        for turn in range(rounds):
            usual = writer.usual(int(_CEILING * total_s), seed=turn + 1)
            for name, texts in (("usual", usual), ("long", writer.long(int(500 * total_s), 2000, seed=turn + 1))):
                requests = [server.contender.request(server.port, text) for text in texts]
                full_load = pool.submit(load, HOST, server.port, requests, connections, _WARM_S, seconds)
                probed = pool.submit(load, HOST, server.port, probe, 1, _WARM_S, seconds, 0.005).result()
                rounds_by_name[name].append(_probed(probed, full_load.result()))
    return {
        name: {key: _spread(r[key] for r in measured) for key in measured[0]} | {"rounds": measured}
        for name, measured in rounds_by_name.items()
    }


def _probed(probe: Load, full: Load) -> dict[str, float]:
    return {
        "p50_ms": probe.percentile(0.5),
        "p99_ms": probe.percentile(0.99),
        "highest_ms": probe.latencies[-1],
        "failed": probe.failed,
        "requests_per_second": full.per_second,
        "failed_requests": full.failed,
    }


def measure_memory(weights: Path = Path("weights")) -> Measured:
    """Bytes of memory of ours at rest with all of these models loaded; see `bench.peers.memory.resident`.

    Raises: ServerFailed.
    """
    with running(ours("ours-all", weights)) as server:
        return resident(server, weights)


def _spread(values: Any) -> dict[str, float]:
    return Spread.from_values(list(values)).stored()


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
