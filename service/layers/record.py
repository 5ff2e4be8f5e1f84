"""What is noted of each request: its id, how it ended, and on demand a line in the log. Never a user's text."""

import logging
import time
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..exchange import Exchange

_SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),  # an answer holds parts of a user's text
)
_CLOSE = (b"connection", b"close")
_SECURED = frozenset(name for name, _ in _SECURITY)
Observer = Callable[[Scope, Exchange, float], None]  # the scope, what is known of it, and its seconds
access = logging.getLogger("service.access")


class Record:
    """Begins the `Exchange`, echoes or makes `x-request-id`, adds the security headers; observers hear of each end."""

    def __init__(self, app: ASGIApp, observers: Sequence[Observer] = ()) -> None:
        self.app, self.observers = app, observers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(scope)
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = _completed(message["headers"], exchange.request_id)
                if _is_leaving(scope):
                    message["headers"].append(_CLOSE)
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - exchange.began
            for observe in self.observers:
                observe(scope, exchange, seconds)


def _is_leaving(scope: Scope) -> bool:
    """Whether this process ends soon: on a connection that is kept the next request would be lost."""
    service = scope["app"].service
    return service is not None and service.leaving.is_set()


def _completed(headers: list[tuple[bytes, bytes]], request_id: bytes) -> list[tuple[bytes, bytes]]:
    given = dict(headers)
    security = _SECURITY if _SECURED.isdisjoint(given) else [header for header in _SECURITY if header[0] not in given]
    return [*headers, *security, (b"x-request-id", request_id)]


def log_access(scope: Scope, exchange: Exchange, seconds: float) -> None:
    fields = {
        "method": scope["method"],
        "path": scope["path"],
        "status": exchange.status,
        "ms": round(seconds * 1000, 2),
        "request_id": exchange.request_id.decode(),
    }
    if exchange.problem:
        fields["problem"] = exchange.problem
    if exchange.submitted:
        fields |= {"queue_ms": round(exchange.queue_ms, 2), "compute_ms": round(exchange.compute_ms, 2)}
    access.info("request", extra={"fields": fields})
