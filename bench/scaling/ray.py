"""This service on Ray Serve beside itself alone, and what a second process brings on a second core.

Overhead: server on core 0, load on core 1, everything of Ray on the server's core. Two cores: server and load on both.
All contenders stand side by side and are loaded in turn, for short times: ratios are taken within a round. What Ray's
processes do without requests, some hundredths of a core, slows the service alone too.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from ..load import load, request
from ..peers.client import Writer, clients
from ..peers.processes import Running, running
from ..peers.table import HOST, MODEL, Contender, ours
from ..ratios import Spread, rotated
from ..results import versions
from . import on_ray

ALONE, WORKERS, RAY, REPLICAS = "alone", "alone, 2 workers", "Ray Serve", "Ray Serve, 2 replicas"
CONNECTIONS = (1, 64)
TEXTS = 32  # of a request that leaves the load generator little to do beside two busy servers
_SETTLE_S = 8.0  # HAProxy is started anew for each replica that comes, and closes what connections it has
PER_CPU = ", by processor time"


@dataclass(frozen=True)
class Effort:
    rounds: int = 9
    seconds: float = 1.0  # of load, for each contender, number of connections and round


def contenders(model: Path = MODEL) -> dict[str, Contender]:
    return {
        ALONE: ours("alone", model),
        WORKERS: ours("alone-2-workers", model, GATESCOPE_WORKERS="2"),
        RAY: on_ray_serve(model, 1),
        REPLICAS: on_ray_serve(model, 2),
    }


def on_ray_serve(weights: Path, replicas: int) -> Contender:
    """weights: one model's folder, or a folder of models, where `path` has no use. Needs the extra `ray`."""
    contender = ours(f"ray-serve-{replicas}", weights)
    arguments = ("-m", "bench.scaling.on_ray", "{port}", str(replicas))
    return replace(contender, arguments=arguments, environment={**contender.environment, **on_ray.variables()})


def run(model: Path, effort: Effort, say: Callable[[str], None]) -> dict[str, Any]:
    """Returns: overhead and cores, each contender -> case -> spread of requests or texts a second, their ratios, and
    memory_mb of the service alone with this one model.

    Raises: ServerFailed where a server does not start.
    """
    writer, known = Writer.for_model(model), contenders(model)
    singles = writer.usual(40_000, seed=1)
    memory: list[float] = []
    batches = [singles[at : at + TEXTS] for at in range(0, len(singles), TEXTS)]

    def overhead(server: Running, pool: Executor) -> dict[str, float]:
        requests = [server.contender.request(server.port, text) for text in singles]
        measured: dict[str, float] = {}
        for n in CONNECTIONS:
            measured |= {f"{n} connections{unit}": x for unit, x in loaded(pool, server, requests, n, effort).items()}
        if server.contender is known[ALONE]:
            memory.append(resident_mb(server.pid))
        return measured

    def both_cores(server: Running, pool: Executor) -> dict[str, float]:
        path = server.contender.path
        bodies = [request(HOST, server.port, path, orjson.dumps({"inputs": texts})) for texts in batches]
        return {f"texts{unit}": TEXTS * x for unit, x in loaded(pool, server, bodies, 8, effort).items()}

    one_core = rounds({name: known[name] for name in (ALONE, RAY)}, overhead, effort, True, say)
    two_cores = rounds(known, both_cores, effort, False, say)
    return {
        "model": model.name,
        "rounds": effort.rounds,
        "seconds": effort.seconds,
        "versions": versions("ray", "torch"),
        "memory_mb": Spread.from_values(memory).stored(),
        "overhead": spreads(one_core),
        "cores": spreads(two_cores),
        "ratios": {
            **{f"{RAY} / {ALONE}, {case}": ratio(one_core, RAY, ALONE, case) for case in one_core[ALONE]},
            **{f"{WORKERS} / {ALONE}, {case}": ratio(two_cores, WORKERS, ALONE, case) for case in two_cores[ALONE]},
            **{f"{REPLICAS} / {RAY}, {case}": ratio(two_cores, REPLICAS, RAY, case) for case in two_cores[RAY]},
        },
    }


Case = dict[str, list[float]]  # what was loaded -> a number for each round


def rounds(
    known: Mapping[str, Contender],
    measure: Callable[[Running, Executor], Mapping[str, float]],
    effort: Effort,
    pinned: bool,
    say: Callable[[str], None],
) -> dict[str, Case]:
    measured: dict[str, Case] = {name: {} for name in known}
    with ExitStack() as started:
        pool = started.enter_context(clients(1, pinned))
        servers = {name: started.enter_context(running(contender, pinned)) for name, contender in known.items()}
        time.sleep(_SETTLE_S)
        for turn in range(effort.rounds):
            for name in rotated(list(known), turn):
                for case, value in measure(servers[name], pool).items():
                    measured[name].setdefault(case, []).append(value)
                    say(f"round {turn + 1} of {effort.rounds}: {name}, {case}: {value:.0f} a second")
    return measured


def loaded(
    pool: Executor, server: Running, requests: Sequence[bytes], connections: int, effort: Effort
) -> dict[str, float]:
    """Requests a second, and a second of processor time, that of all the server's processes: others on this machine
    take time from the first, and little from the second.

    Raises: RuntimeError where a request failed.
    """
    before = server.cpu_s()
    send = partial(load, HOST, server.port, requests, connections, 0.0, effort.seconds)
    result = pool.submit(send).result()
    if result.failed:
        raise RuntimeError(f"{server.contender.name}: {result.failed} requests failed: read {server.contender.log}")
    return {"": result.per_second, PER_CPU: result.answered / (server.cpu_s() - before)}


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def spreads(measured: Mapping[str, Case]) -> dict[str, dict[str, dict[str, float]]]:
    return {
        name: {case: Spread.from_values(values).stored() for case, values in cases.items()}
        for name, cases in measured.items()
    }


def ratio(measured: Mapping[str, Case], over: str, under: str, case: str) -> dict[str, float]:
    """Taken within each round."""
    pairs = zip(measured[over][case], measured[under][case], strict=True)
    return Spread.from_values([a / b for a, b in pairs]).stored()
