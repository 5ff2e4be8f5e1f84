"""Predict and inspect past the framework, whose bookkeeping costs more than a small model's prediction.

The same handlers stand in the app's own routes, which document them and serve any spelling of a path that is not taken
here; so what is answered is the same either way.
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
    """``POST /v1/models/{name}/predict`` and ``/inspect``; everything else goes on to `app`."""

    def __init__(self, app: FastAPI, log_requests: bool = False) -> None:
        self.app = app
        self.verbs: dict[str, Handler] = {"predict": native.predict, "inspect": native.inspect}
        self.short: ASGIApp = RequestId(self._answer, log_requests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._find(scope):
            scope["app"] = self.app
            await self.short(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope)
        assert found is not None
        handler, name = found
        request = Request(scope, receive, send)
        try:
            response = await handler(request, name)
        except (ModelError, ServiceError) as error:
            response = response_of(error)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception as error:
            response = bug(request, error)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[Handler, str] | None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(_PREFIX):
            return None
        name, slash, verb = scope["path"][len(_PREFIX) :].partition("/")
        handler = self.verbs.get(verb)
        return (handler, name) if handler and slash and name else None
