"""What leaves the connection is, byte for byte, what uvicorn's own class sends; a plain answer leaves in one write."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from service.layers.connection import Config, Connection
from service.settings import Settings

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
PLAIN = [(b"content-type", b"application/json"), (b"content-length", b"2"), (b"x-request-id", b"abc")]


def answering(headers: list[tuple[bytes, bytes]], *parts: bytes, status: int = 200) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for n, part in enumerate(parts):
            await send({"type": "http.response.body", "body": part, "more_body": n + 1 < len(parts)})

    return app


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"sockname": ("127.0.0.1", 8000), "peername": ("127.0.0.1", 5000)}.get(name, default)

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0


def sent(
    protocol: type[HttpToolsProtocol], app: ASGIApp, raw: bytes, during: Callable[[Any], None] | None = None
) -> Wire:
    """What one connection sends for these bytes; during: called with the connection once the app's tasks have begun."""

    async def run() -> Wire:
        options: Any = {"access_log": False, "server_header": False, "date_header": False, "lifespan": "off"}
        if protocol is Connection:
            config: uvicorn.Config = Config(app, Settings(), **options)
        else:
            config = uvicorn.Config(app, http=protocol, log_config=None, **options)
        config.load()
        wire, state = Wire(), ServerState()
        connection: Any = protocol(config, state, {})
        connection.connection_made(wire)
        connection.data_received(raw)
        await asyncio.sleep(0)
        if during:
            during(connection)
        while state.tasks:
            await asyncio.sleep(0)
        connection.connection_lost(None)
        return wire

    return asyncio.run(run())


CASES: dict[str, tuple[ASGIApp, bytes]] = {
    "plain": (answering(PLAIN, b"{}"), GET),
    "without a length": (answering(PLAIN[:1], b"{}"), GET),
    "in parts": (answering([(b"content-length", b"6")], b"abc", b"def"), GET),
    "in parts without a length": (answering([], b"abc", b"def", b""), GET),
    "an empty body": (answering([(b"content-length", b"0")], b""), GET),
    "nothing to send": (answering([], b"", status=204), GET),
    "HEAD": (answering(PLAIN, b""), GET.replace(b"GET", b"HEAD")),
    "HEAD with a body": (answering(PLAIN, b"{}"), GET.replace(b"GET", b"HEAD")),
    "the server closes": (answering([*PLAIN, (b"connection", b"close")], b"{}"), GET),
    "the client closes": (answering(PLAIN, b"{}"), GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")),
    "HTTP/1.0": (answering(PLAIN, b"{}"), GET.replace(b"1.1", b"1.0")),
    "two in one packet": (answering(PLAIN, b"{}"), GET + GET),
    "names in capitals": (answering([(b"Content-Length", b"2"), (b"X-Thing", b"a")], b"{}"), GET),
    "a body too long": (answering(PLAIN, b"{}."), GET),
    "a body too short": (answering(PLAIN, b"{"), GET),
    "a body that never comes": (answering(PLAIN), GET),
    "a line break in a value": (answering([*PLAIN, (b"x-thing", b"a\r\nb: c")], b"{}"), GET),
    "a line break in the id": (answering([*PLAIN[:2], (b"x-request-id", b"a\r\nb: c")], b"{}"), GET),
    "a blank in a name": (answering([*PLAIN, (b"x thing", b"a")], b"{}"), GET),
    "chunks of its own": (answering([(b"transfer-encoding", b"chunked")], b"{}"), GET),
}


@pytest.mark.parametrize("case", CASES)
def test_as_uvicorn_sends_it(case: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    app, raw = CASES[case]
    expected, found = sent(HttpToolsProtocol, app, raw), sent(Connection, app, raw)
    if case in ("a body too long", "a body too short", "a body that never comes"):
        assert found.closed == expected.closed  # uvicorn has sent the head by then
        assert b"".join(expected.writes).startswith(b"".join(found.writes))
        return
    assert b"".join(found.writes) == b"".join(expected.writes)
    assert found.closed == expected.closed
    assert found.writes or case.endswith(("in a value", "in the id", "in a name"))  # refused, and closed


def test_a_plain_answer_is_one_write() -> None:
    app, raw = CASES["plain"]
    assert len(sent(Connection, app, raw).writes) == 1
    assert len(sent(Connection, app, raw + raw).writes) == 2


def test_a_server_that_stops_between_head_and_body_closes_after_the_body() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": PLAIN})
        await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b"{}"})

    def stop(connection: Any) -> None:
        connection.cycle.keep_alive = False

    wire = sent(Connection, app, GET, stop)
    assert wire.closed
    assert b"".join(wire.writes).endswith(b"\r\n\r\n{}")


def test_a_client_that_left_between_head_and_body_is_sent_nothing() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": PLAIN})
        await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b"{}"})

    assert sent(Connection, app, GET, lambda connection: connection.connection_lost(None)).writes == []
