"""Class: a header that is n times as long takes n * n times the work.

Work is counted, not timed: calls and lines of Python that the whole app runs, from headers to answer. What runs in C
has a generous bound of time beside it, at eight times the header that the server's limit lets in.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.app import create_app
from service.settings import Settings

from .conftest import NAME

BODY = b'{"inputs": ""}'  # refused after its headers are read: a model that runs now in the loop, now in a thread, is not counted
INSPECT, ASSET = ("POST", f"/v1/models/{NAME}/inspect"), ("GET", "/docs/swagger-ui.css")
REPOSITORY = ("POST", "/v2/repository/index")
Header = Callable[[int], bytes]
CASES: dict[str, tuple[tuple[str, str], bytes, Header]] = {
    "accept, ranges": (INSPECT, b"accept", lambda n: b",".join(b"a/b%d;q=0.1" % k for k in range(n))),
    "accept, parameters": (INSPECT, b"accept", lambda n: b"*/*" + b";q=0.5" * n),
    "accept, commas": (INSPECT, b"accept", lambda n: b"," * n),
    "accept, blanks": (INSPECT, b"accept", lambda n: b"text/html," + b" " * n + b"*/*"),
    "range, many": (ASSET, b"range", lambda n: b"bytes=" + b",".join(b"%d-%d" % (3 * k, 3 * k) for k in range(n))),
    "range, overlapping": (ASSET, b"range", lambda n: b"bytes=" + b",".join([b"0-"] * n)),
    "range, commas": (ASSET, b"range", lambda n: b"bytes=" + b"," * n),
    "range, digits": (ASSET, b"range", lambda n: b"bytes=0-" + b"9" * n),
    "content-type, multipart": (INSPECT, b"content-type", lambda n: b"multipart/form-data; boundary=" + b"-" * n),
    "content-type, parameters": (INSPECT, b"content-type", lambda n: b"application/json" + b"; a=b" * n),
    "content-type, quotes": (INSPECT, b"content-type", lambda n: b'multipart/form-data; boundary="' + b'\\"' * n),
    "content-encoding": (INSPECT, b"content-encoding", lambda n: b"gzip," * n),
    "authorization": (INSPECT, b"authorization", lambda n: b"Bearer " + b" " * n),
    "cookie": (INSPECT, b"cookie", lambda n: b"a=b; " * n),
    "host": (REPOSITORY, b"host", lambda n: b"a." * n),
    "host, colons": (REPOSITORY, b"host", lambda n: b"[" + b":" * n + b"]"),
    "origin": (REPOSITORY, b"origin", lambda n: b"http://" + b"a." * n),
    "x-deadline-ms": (INSPECT, b"x-deadline-ms", lambda n: b"9" * n),
    "x-request-id": (INSPECT, b"x-request-id", lambda n: b"a" * n),
    "if-none-match": (ASSET, b"if-none-match", lambda n: b",".join([b'"x"'] * n)),
}


@pytest.fixture(scope="module")
def app(weights_dir: Path) -> Any:
    return create_app(Settings(weights_dir=weights_dir, device="cpu", model_control="explicit", api_keys="k"))


def scope_of(route: tuple[str, str], headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """As a server hands it over; limits on the header's bytes stand before it and do not help here."""
    return {
        "type": "http",
        "method": route[0],
        "path": route[1],
        "raw_path": route[1].encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "server": ("127.0.0.1", 80),
        "headers": headers,
    }


def asked(app: Any, requests: list[dict[str, Any]]) -> Callable[[], list[int]]:
    """A call that asks all of them on a started app, and returns their statuses."""

    async def scenario() -> list[int]:
        statuses: list[int] = []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        async with app.router.lifespan_context(app):
            while not app.service.registry.loaded:
                await asyncio.sleep(0.02)
            for scope in requests:
                bodies = iter([{"type": "http.request", "body": BODY, "more_body": False}])

                async def receive(bodies: Any = bodies) -> Any:
                    return next(bodies, {"type": "http.disconnect"})

                before = sys.getprofile()
                count = 0

                def note(frame: Any, event: str, argument: Any) -> None:
                    nonlocal count
                    count += 1

                began = time.perf_counter()
                sys.setprofile(note)
                try:
                    await app(scope, receive, send)
                finally:
                    sys.setprofile(before)
                scope["counted"], scope["seconds"] = count, time.perf_counter() - began
        return statuses

    return lambda: asyncio.run(scenario())


def test_work_grows_no_faster_than_a_header(app: Any) -> None:
    """n, 2n, 4n and 8n elements: the calls beyond those of a short header grow by at most a little more than twice."""
    sizes = (500, 1000, 2000, 4000)
    requests: dict[str, list[dict[str, Any]]] = {}
    for name, (route, header, value) in CASES.items():
        fixed = [(b"x-api-key", b"k")] if header != b"authorization" else []
        fixed += [(b"host", b"localhost")] if header != b"host" else []
        requests[name] = [scope_of(route, [*fixed, (header, value(n))]) for n in (1, *sizes)]
    # thrice, and the fewest calls count: what else the event loop does meanwhile is no work on a header
    everything = [scope for scopes in requests.values() for scope in scopes]
    again = [[dict(scope) for scope in everything] for _ in range(2)]
    statuses = asked(
        app,
        [scope_of(*warm) for warm in ((INSPECT, []), (ASSET, []), (REPOSITORY, []))]
        + [*everything, *again[0], *again[1]],
    )()
    for scope, *others in zip(everything, *again, strict=True):
        scope["counted"] = min(each["counted"] for each in (scope, *others))
    assert all(status < 500 for status in statuses)
    for name, scopes in requests.items():
        base, *grown = (scope["counted"] for scope in scopes)
        assert base > 20, name
        for less, more in itertools.pairwise(grown):
            assert more - base <= 2.5 * max(less - base, 200), (name, base, grown)
        assert scopes[-1]["seconds"] < 2, name


def test_the_count_finds_a_quadratic_parser() -> None:
    """The measure itself: a parser that looks at all parts for each part is found out."""

    def quadratic(value: bytes) -> int:
        parts = value.split(b",")
        return sum(len(part) for part in parts for other in parts if other.strip() and part.strip())

    counts = []
    for n in (50, 100, 200):
        count = 0

        def note(frame: Any, event: str, argument: Any) -> None:
            nonlocal count
            count += 1

        sys.setprofile(note)
        quadratic(b",".join([b"a"] * n))
        sys.setprofile(None)
        counts.append(count)
    assert counts[2] > 2.5 * counts[1]
