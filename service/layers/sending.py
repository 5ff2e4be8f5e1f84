"""An answer's head and body in one write, its headers checked once and not each time.

uvicorn looks at every header of every answer with two patterns, and writes the head by itself. Most of an answer's
headers are always the same, and of a small model's answer that is a twentieth of the time.
"""

from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

_ITS_OWN = frozenset({b"connection", b"transfer-encoding"})  # headers by which uvicorn decides how to go on


class Cycle(RequestResponseCycle):
    """uvicorn's, with a short way for an answer of a known length on a connection that stays open."""

    _head = b""  # held back until the body comes

    async def send(self, message: Any) -> None:
        if not self.response_started and self._hold(message):
            return
        if self._head and not self.disconnected:
            head, self._head = self._head, b""
            body = message.get("body", b"")
            if self.keep_alive and len(body) == self.expected_content_length and not message.get("more_body"):
                self.transport.writelines([head, body])
                self.response_complete = True
                self.message_event.set()
                self.on_response()
                return
            self.transport.write(head)
        await super().send(message)

    def _hold(self, message: Any) -> bool:
        """Whether the head is one of those for the short way; it is then held back."""
        if message["type"] != "http.response.start" or not self.keep_alive or self.access_log:
            return False
        if self.disconnected or self.flow.write_paused or self.scope["method"] == "HEAD":
            return False
        lines, length = [STATUS_LINE[message["status"]]], None
        for name, value in (*self.default_headers, *message["headers"]):
            if name == b"content-length":
                length = int(value)
                lines.append(b"content-length: %d\r\n" % length)
            elif name == b"x-request-id" and not HEADER_VALUE_RE.search(value):  # no two are alike
                lines.append(b"x-request-id: %b\r\n" % value)
            elif line := _line(name, value):
                lines.append(line)
            else:
                return False
        if length is None:
            return False
        self.response_started, self.waiting_for_100_continue = True, False
        self.chunked_encoding, self.expected_content_length = False, length
        self._head = b"".join([*lines, b"\r\n"])
        return True


@lru_cache(maxsize=256)
def _line(name: bytes, value: bytes) -> bytes | None:
    """A header as it is sent; None for what uvicorn has to look at, or to refuse."""
    name = name.lower()
    if name in _ITS_OWN or HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
        return None
    return name + b": " + value + b"\r\n"
