"""Predict, inspect and step without the framework's routing, which costs more than a small model's prediction.

The routes call the same handlers, document them, and serve every spelling of a path that this layer does not match:
answers are the same either way.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..exchange import exchange_of
from ..routes import native, streaming

Handler = Callable[[Request, str], Awaitable[Response]]
_PREFIX = "/v1/models/"


class HotPath:
    """``POST /v1/models/{name}/predict``, ``/inspect`` and ``/step``; every other request goes to `app`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        handlers: dict[str, Handler] = {
            "predict": native.predict,
            "inspect": native.inspect,
            "step": streaming.step,
        }
        self.verbs = {verb: (handler, f"{_PREFIX}{{name}}/{verb}") for verb, handler in handlers.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._route(scope)
        if route is None:
            await self.app(scope, receive, send)
            return
        handler, name, path = route
        exchange_of(scope).route = path
        response = await handler(Request(scope, receive, send), name)
        await response(scope, receive, send)

    def _route(self, scope: Scope) -> tuple[Handler, str, str] | None:
        """(handler, model's name, path as declared)"""
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(_PREFIX):
            return None
        name, _, verb = scope["path"][len(_PREFIX) :].partition("/")
        found = self.verbs.get(verb)
        return (found[0], name, found[1]) if found and name else None
