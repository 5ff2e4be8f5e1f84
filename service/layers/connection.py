"""Below HTTP: bounds on connections and headers, and an end to clients that send or read too slowly.

uvicorn's own protocol bounds none of them: `Connection` adds that and leaves the rest to it; `Config` puts it to use.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from ..exchange import BODY_IS_COMPLETE
from ..settings import Settings
from ..wire.problems import problem
from .listening import Loop
from .sending import Cycle

_REASONS = {400: "Bad Request", 431: "Request Header Fields Too Large", 503: "Service Unavailable"}


LINGER_S = 0.1  # how long after the port has closed a request may still arrive on a connection that is open


class Config(uvicorn.Config):
    """uvicorn's configuration with these settings' host, port and limits on connections."""

    def __init__(self, app: ASGIApp | str, settings: Settings, **options: Any) -> None:
        super().__init__(
            app,
            settings.host,
            settings.port,
            http=Connection,
            ws=Socket,
            ws_max_size=settings.max_frame_bytes,
            ws_per_message_deflate=False,
            log_config=None,
            **options,
        )
        self.settings = settings

    def get_loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop]:
        return Loop


class _HeadersTooLarge(Exception):
    """Ends the parser's work; the answer to the client is `Connection.refuse`'s."""


class Readers(asyncio.Protocol):
    """Ends the connection of a client that reads nothing of what it is sent. Stands before uvicorn's own class."""

    config: Config
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _reading_check: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._check_reading(self.transport.get_write_buffer_size() + 1)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel_reading_check()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_reading_check()
        super().connection_lost(exc)

    def _check_reading(self, before: int) -> None:
        """Abort where nothing was read since the last check."""
        waiting = self.transport.get_write_buffer_size()
        if waiting >= before:
            self.transport.abort()
        else:
            delay_s = self.config.settings.read_timeout_ms / 1000
            self._reading_check = self.loop.call_later(delay_s, self._check_reading, waiting)

    def _cancel_reading_check(self) -> None:
        if self._reading_check:
            self._reading_check.cancel()
            self._reading_check = None


class Connection(Readers, HttpToolsProtocol):
    """One client's connection."""

    config: Config

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.settings = self.config.settings
        self._header_bytes = 0
        self._in_headers = True
        self._headers_too_large = False
        self._header_timer: asyncio.TimerHandle | None = self._later(self.settings.header_timeout_ms, self._close)
        limit = self.settings.max_connections
        if len(self.connections) > limit:
            if figures := getattr(self.app, "figures", None):
                figures.refused("connections")
            self.refuse(503, f"{limit} connections are open (GATESCOPE_MAX_CONNECTIONS): try again in a second")

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():  # refused: what still arrives is not read
            return
        self._header_bytes += len(data)  # at least those of the header that it holds or goes on with
        super().data_received(data)
        if not self._in_headers:
            self._header_bytes = 0
            if self.cycle and not self.cycle.more_body:
                self.cycle.scope[BODY_IS_COMPLETE] = True  # type: ignore[literal-required]
        elif not self.transport.is_closing():
            if self._header_bytes > self.settings.max_header_bytes:
                self._refuse_headers()
            elif self._header_timer is None and self._header_bytes:
                self._header_timer = self._later(self.settings.header_timeout_ms, self._close)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True

    def on_headers_complete(self) -> None:
        self._in_headers = False
        if self._header_timer:
            self._cancel_header_timer()
        if self._header_bytes > self.settings.max_header_bytes:  # a body may be among them: counted one by one
            counted = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if counted > self.settings.max_header_bytes:
                self._headers_too_large = True
                raise _HeadersTooLarge
        super().on_headers_complete()
        if self.cycle:  # uvicorn names its class itself; the task that asks for `send` has not begun
            self.cycle.__class__ = Cycle

    def send_400_response(self, msg: str) -> None:
        """What the parser cannot read; called by uvicorn."""
        if self._headers_too_large:
            self._refuse_headers()
        else:
            self.refuse(400, "this is not an HTTP/1.1 request: check the request line and the headers")

    def shutdown(self) -> None:
        """The server stops. On a connection without a request one may be on its way: it has a moment to arrive.

        It is answered with `connection: close`, as all are while the server stops.
        """
        close = super().shutdown
        self.loop.call_later(LINGER_S, self.loop.call_later, 0, close)  # between the two timers the socket is read

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_header_timer()
        super().connection_lost(exc)

    def refuse(self, status: int, detail: str) -> None:
        """Answer with a problem before any route is asked, and close."""
        kind = _REASONS[status].lower().replace(" ", "_")
        body = bytes(problem(status, _REASONS[status], detail, kind).body)
        retry = "retry-after: 1\r\n" if status == 503 else ""
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\n{retry}connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self._close()

    def _refuse_headers(self) -> None:
        limit = self.settings.max_header_bytes
        self.refuse(431, f"request line and headers exceed {limit} bytes (GATESCOPE_MAX_HEADER_BYTES): send fewer")

    def _later(self, delay_ms: int, call: object, *arguments: object) -> asyncio.TimerHandle:
        return self.loop.call_later(delay_ms / 1000, call, *arguments)  # type: ignore[arg-type]

    def _close(self) -> None:
        self._cancel_header_timer()
        self.transport.close()

    def _cancel_header_timer(self) -> None:
        if self._header_timer:
            self._header_timer.cancel()
            self._header_timer = None


class Socket(Readers, WebSocketsSansIOProtocol):
    """One client's WebSocket: uvicorn bounds frames and asks for life signs, `Readers` ends one that never reads."""

    config: Config

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.logger = logging.getLogger(f"{__name__}.handshakes")
        self.logger.setLevel(logging.WARNING)  # uvicorn logs each with its query string
