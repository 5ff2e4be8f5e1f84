"""The layers in the order in which a request passes them, outermost first, and the app that they stand around."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from ..figures.figures import Figures
from ..settings import Settings
from . import traces
from .control import ControlGuard
from .heads import Heads
from .hotpath import HotPath
from .keys import KeyRing, Keys
from .problems import Problems
from .record import Observer, Record, log_access


class App(FastAPI):
    """FastAPI with the layers around its own ones and not between them: what `HotPath` answers passes none of those.

    service: the `service.state.State`, from the lifespan's begin on.
    """

    service: Any = None

    def __init__(self, layers: Sequence[Middleware], figures: Figures, **options: Any) -> None:
        super().__init__(**options)
        self.layers, self.figures = layers, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As the framework's, without its telemetry."""
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        self.middleware_stack = self.middleware_stack or self.build_middleware_stack()
        await self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        framework = super().build_middleware_stack()
        assert isinstance(framework, ServerErrorMiddleware)  # it answers every bug in words of its own: left out
        app = framework.app
        for layer in reversed(self.layers):
            app = layer.cls(app, *layer.args, **layer.kwargs)
        return app


def chain(settings: Settings, figures: Figures) -> list[Middleware]:
    """Raises: StartupError for a file of keys that cannot be read, and for traces without their packages."""
    observers: list[Observer] = [figures.answered]
    if settings.access_log:
        observers.append(log_access)
    if settings.traces:
        observers.append(traces.observer())
    layers = [Middleware(Record, observers=observers)]
    if settings.cors_origins:
        layers.append(Middleware(CORSMiddleware, **_cors(settings.cors_origins)))
    layers.append(Middleware(Problems))
    keys = KeyRing(settings)
    if keys.are_set:
        layers.append(Middleware(Keys, keys=keys))
    if settings.model_control == "explicit":
        layers.append(Middleware(ControlGuard, settings=settings))
    return [*layers, Middleware(HotPath), Middleware(Heads)]


def _cors(origins: str) -> dict[str, Any]:
    """No cookies and no credentials: a key travels in a header that the page itself sets."""
    return {
        "allow_origins": [origin.strip() for origin in origins.split(",") if origin.strip()],
        "allow_methods": ["GET", "POST"],
        "allow_headers": ["authorization", "x-api-key", "content-type", "x-deadline-ms", "x-request-id"],
        "expose_headers": ["x-request-id", "retry-after"],
    }
