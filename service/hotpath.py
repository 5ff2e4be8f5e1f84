"""Predict and inspect past the framework's routing, whose bookkeeping costs more than a small model's prediction.

The same handlers stand in the app's own routes, which document them and serve any spelling of a path that is not taken
here; so what is answered is the same either way.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from models.errors import ModelError

from .errors import ServiceError
from .problems import response_of

Handler = Callable[[Request, str], Awaitable[Response]]
_PREFIX = "/v1/models/"


class HotPath:
    """``POST /v1/models/{name}/{verb}`` for the verbs given; everything else goes on to `app`."""

    def __init__(self, app: ASGIApp, verbs: Mapping[str, Handler]) -> None:
        self.app, self.verbs = app, verbs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope)
        if found is None:
            await self.app(scope, receive, send)
            return
        handler, name = found
        try:
            response = await handler(Request(scope, receive, send), name)
        except (ModelError, ServiceError) as error:
            response = response_of(error)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[Handler, str] | None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(_PREFIX):
            return None
        name, slash, verb = scope["path"][len(_PREFIX) :].partition("/")
        handler = self.verbs.get(verb)
        return (handler, name) if handler and slash and name else None
