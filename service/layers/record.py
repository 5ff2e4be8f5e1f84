"""What is noted of each request: its id, and on demand a line in the log. Never a user's text."""

import logging
import os
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_VALID_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),  # an answer holds parts of a user's text
]
access = logging.getLogger("service.access")


class Record:
    """Echo `x-request-id`, or generate one; add the security headers; optionally log each request after its answer."""

    def __init__(self, app: ASGIApp, log_requests: bool = False) -> None:
        self.app, self.log_requests = app, log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        began, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name for name, _ in message["headers"]}
                added = [header for header in _SECURITY if header[0] not in given]
                message["headers"] = [*message["headers"], *added, (b"x-request-id", request_id)]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            if self.log_requests:
                _log(scope, status, time.perf_counter() - began, request_id)


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _VALID_ID.fullmatch(value):
            return bytes(value)
    return os.urandom(16).hex().encode()


def _log(scope: Scope, status: int, seconds: float, request_id: bytes) -> None:
    fields = {
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "ms": round(seconds * 1000, 2),
        "request_id": request_id.decode(),
    }
    access.info("request", extra={"fields": fields})
