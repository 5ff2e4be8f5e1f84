"""The layers in the order in which a request passes them, outermost first."""

from typing import Any

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from ..settings import Settings
from .control import ControlGuard
from .hotpath import HotPath
from .keys import KeyRing, Keys
from .problems import Problems
from .record import Record


def chain(settings: Settings) -> list[Middleware]:
    """Raises: StartupError for a file of keys that cannot be read."""
    layers = [Middleware(Record, log_requests=settings.access_log)]
    if settings.cors_origins:
        layers.append(Middleware(CORSMiddleware, **_cors(settings.cors_origins)))
    layers.append(Middleware(Problems))
    keys = KeyRing(settings)
    if keys.are_set:
        layers.append(Middleware(Keys, keys=keys))
    if settings.model_control == "explicit":
        layers.append(Middleware(ControlGuard, settings=settings))
    return [*layers, Middleware(HotPath)]


def _cors(origins: str) -> dict[str, Any]:
    """No cookies and no credentials: a key travels in a header that the page itself sets."""
    return {
        "allow_origins": [origin.strip() for origin in origins.split(",") if origin.strip()],
        "allow_methods": ["GET", "POST"],
        "allow_headers": ["authorization", "x-api-key", "content-type", "x-deadline-ms", "x-request-id"],
        "expose_headers": ["x-request-id", "retry-after"],
    }
