"""Predict and inspect without the framework, whose routing costs more than a small model's prediction.

The app's own routes call the same handlers, document them, and serve every spelling of a path that this module does not
match: answers are the same either way.
"""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from models.errors import ModelError

from .errors import ServiceError
from .routes import native
from .telemetry import RequestId
from .wire.problems import bug, response_of

Handler = Callable[[Request, str], Awaitable[Response]]
_PREFIX = "/v1/models/"


class HotPath:
    """``POST /v1/models/{name}/predict`` and ``/inspect``; every other request goes to `app`."""

    def __init__(self, app: FastAPI, log_requests: bool = False) -> None:
        self.app = app
        self.verbs: dict[str, Handler] = {"predict": native.predict, "inspect": native.inspect}
        self.direct: ASGIApp = RequestId(self._answer, log_requests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._route(scope):
            scope["app"] = self.app
            await self.direct(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._route(scope)
        assert route is not None
        handler, name = route
        request = Request(scope, receive, send)
        try:
            response = await handler(request, name)
        except (ModelError, ServiceError) as error:
            response = response_of(error)
        except ClientDisconnect:
            return  # the client has closed the connection
        except Exception as error:
            response = bug(request, error)
        await response(scope, receive, send)

    def _route(self, scope: Scope) -> tuple[Handler, str] | None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(_PREFIX):
            return None
        name, slash, verb = scope["path"][len(_PREFIX) :].partition("/")
        handler = self.verbs.get(verb)
        return (handler, name) if handler and slash and name else None
