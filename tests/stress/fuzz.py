"""Hostile requests over every route: each is answered by a problem or cut off, and the server is as it was before."""

import contextlib
import http.client
import json
import socket
from collections import Counter
from pathlib import Path
from typing import Any

from bench.peers.table import HOST
from service.app import create_app
from service.routes.documented import examples
from service.settings import Settings
from tests.service.faults.conftest import paths

from .hostile import CANARY, Attacker, Hostile
from .servers import MODEL, TEXTS, Measured, are_equal, server

# an answer that is none of these is a defect: 431 and 400 come from below the routes, 206 and 416 from static files
EXPECTED = {200, 204, 206, 307, 400, 401, 403, 404, 405, 406, 408, 413, 415, 416, 422, 429, 431, 503, 504}
_LEAKS = (b"Traceback", b'File "', b"site-packages", b"service/", b"/models/runtime", b"object at 0x")


def fuzz(weights: Path, count: int, seed: int = 0) -> Measured:
    """Sends so many, each on a connection of its own. faults: the first sentences about what may not be."""
    found: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    faults: list[str] = []
    with server(weights, body_timeout_ms=300, header_timeout_ms=300) as attacked:
        before = attacked.scores(list(TEXTS))
        attacker = Attacker(_paths(weights), _examples(), seed)
        for number in range(count):
            hostile = attacker.next(number)
            kinds[hostile.kind] += 1
            status, fault = _sent(attacked.port, hostile)
            found[str(status)] += 1
            if fault:
                faults.append(f"{number}, {hostile.kind}: {fault}")
        after = attacked.scores(list(TEXTS))
        alive = attacked.client.get("/health/live").status_code == 200
        log = attacked.log
    return {
        "count": count,
        "seed": seed,
        "routes": len(_paths(weights)),
        "kinds": dict(kinds),
        "statuses": dict(sorted(found.items())),
        "faults": faults[:20],
        "fault_count": len(faults),
        "same_answers": are_equal(before, after),
        "alive": alive,
        "bugs_logged": log.count("a bug") + log.count("Traceback"),
        "texts_logged": log.count(CANARY),
    }


def _paths(weights: Path) -> list[str]:
    return sorted(paths(create_app(Settings(weights_dir=weights, device="cpu")).routes))


def _examples() -> list[tuple[str, Any]]:
    """(path, good body) of every documented operation that takes one; asked of a tiny model."""
    found = []
    for operation, example in examples().items():
        method, path = operation.split(" ", 1)
        if method == "POST" and "request" in example:
            values = {**example.get("path", {}), "name": MODEL}
            found.append((path.format(**values), example["request"]))
    infer = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["好"]}]}
    return [*found, (f"/v2/models/{MODEL}/infer", infer), ("/v2/repository/index", {"ready": True})]


def _sent(port: int, hostile: Hostile) -> tuple[int, str]:
    """(status or 0 where the server closed without an answer, what is wrong or nothing)."""
    with socket.create_connection((HOST, port), timeout=20) as connection:
        with contextlib.suppress(ConnectionError):  # the server may refuse before it has read all
            connection.sendall(hostile.raw)
        method = hostile.raw.split(b" ", 1)[0].decode("latin-1")
        answer = http.client.HTTPResponse(connection, method=method if method in ("HEAD", "CONNECT") else "POST")
        try:
            answer.begin()
            body = answer.read()
        except TimeoutError:
            return 0, "neither an answer nor a close within 20 s"
        except (http.client.HTTPException, ConnectionError):
            return 0, "" if hostile.kind in _MAY_BE_CUT_OFF else "the server closed without an answer"
    return answer.status, _fault(answer, body, method)


_MAY_BE_CUT_OFF = ("bytes that are no HTTP", "hostile headers", "long headers", "an odd path")


def _fault(answer: http.client.HTTPResponse, body: bytes, method: str) -> str:
    if answer.status not in EXPECTED:
        return f"status {answer.status}: {body[:200]!r}"
    if leak := next((leak for leak in _LEAKS if answer.status >= 400 and leak in body), None):
        return f"{leak!r} in the answer: {body[:200]!r}"
    if answer.status >= 400 and answer.status != 416 and method not in ("HEAD", "CONNECT"):
        try:
            if not json.loads(body)["error"]:
                return f"an error without a sentence: {body[:200]!r}"
        except (ValueError, KeyError, TypeError):
            return f"an error that is no problem, status {answer.status}: {body[:200]!r}"
    return ""
