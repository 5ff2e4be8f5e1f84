"""The answer that nearly every request gets: some bytes of one media type."""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class Answer(Response):
    """Status 200. Starlette's own class goes through headers, charsets and cookies that no such answer has."""

    def __init__(self, body: bytes, media_type: str) -> None:
        self.status_code, self.background, self.body = 200, None, body
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", media_type.encode("latin-1"))]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})
