"""Request ids and logs. Logs hold method, path, status and time, never a user's text.

Pure ASGI middleware: behind Starlette's BaseHTTPMiddleware a handler is never notified of a client's disconnect.
"""

import json
import logging
import os
import re
import sys
import time
from typing import Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_VALID_ID = re.compile(rb"[\x21-\x7e]{1,128}")
access = logging.getLogger("service.access")


class RequestId:
    """Echo `x-request-id`, or generate one; optionally log each request after its answer."""

    def __init__(self, app: ASGIApp, log_requests: bool = False) -> None:
        self.app, self.log_requests = app, log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        client_id = dict(scope["headers"]).get(b"x-request-id", b"")
        request_id = client_id if _VALID_ID.fullmatch(client_id) else os.urandom(16).hex().encode()
        began, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", request_id)]}
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            if self.log_requests:
                fields = {
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "ms": round((time.perf_counter() - began) * 1000, 2),
                    "request_id": request_id.decode(),
                }
                access.info("request", extra={"fields": fields})


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{k}={v}" for k, v in getattr(record, "fields", {}).items())
        line = f"{record.levelname.lower():7} {record.getMessage()} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_logging(level: str, form: Literal["auto", "json", "text"]) -> None:
    """Logs on stdout: plain text on a terminal, else JSON lines."""
    handler = logging.StreamHandler(sys.stdout)
    as_text = form == "text" or (form == "auto" and sys.stdout.isatty())
    handler.setFormatter(Text() if as_text else JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
