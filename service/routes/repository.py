"""Loading and unloading at run time, as clients of Triton and KServe ask; `service.layers.control` guards it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel

from ..errors import ControlOff, DeadlineExceeded, NotReady
from ..exchange import exchange_of
from ..state import State, state_of, terms_of
from ..wire import open_inference as wire
from . import bodies

GUARDED = "gatescope.control"  # in the scope: the request has passed the guard
_MODEL, _VERSION = "/models/{name}", "1"
Schema = TypeVar("Schema", bound=BaseModel)
router = APIRouter(prefix="/v2/repository", include_in_schema=False)  # the protocol publishes its own OpenAPI


@router.post("/index")
async def index(request: Request) -> list[dict[str, str]]:
    """Models that are served and those that are not; the reason is why a folder's newest version is not served."""
    state = state_of(request)
    asked = await _body(request, wire.IndexRequest, state)
    models = state.registry.models
    served = [_entry(name, _VERSION, models.rejected.get(name, "")) for name in sorted(models.versions)]
    if asked.ready:
        return served
    broken = [_entry(name, "", reason) for name, reason in sorted(models.broken.items())]
    return served + broken + [_entry(name, "", "unloaded") for name in sorted(models.unloaded)]


@router.post(f"{_MODEL}/load")
async def load(request: Request, name: str) -> dict[str, Any]:
    """Read the folder of this name; a version that cannot be loaded leaves what was served as it was."""
    state = _controlled(request)
    await _body(request, wire.LoadRequest, state)
    await _within_deadline(request, state.control.load, name)
    return {"name": name, "load": True}


@router.post(f"{_MODEL}/unload")
async def unload(request: Request, name: str) -> dict[str, Any]:
    """Requests that have begun are answered; the memory is let go with the last of them.

    Streams are such requests: an open WebSocket goes on with its version, however long that is, and nothing waits for
    it. Ending it would lose what was read, and waiting would let one client hold up an operator for hours.
    `gatescope_streams_open` says how many there are, and GATESCOPE_STREAM_IDLE_MS ends those that say nothing.
    """
    state = _controlled(request)
    await _body(request, wire.UnloadRequest, state)
    await _within_deadline(request, state.control.unload, name)
    return {"name": name, "unload": True}


def _controlled(request: Request) -> State:
    """Raises: ControlOff, NotReady."""
    state = state_of(request)
    if state.settings.model_control != "explicit" or not request.scope.get(GUARDED):
        raise ControlOff
    if not state.registry.loaded or state.leaving.is_set():
        raise NotReady("shutting down" if state.leaving.is_set() else "loading its models")
    return state


async def _within_deadline(request: Request, change: Callable[[str], Awaitable[None]], name: str) -> None:
    """A change that takes longer goes on, and is no longer waited for.

    Raises: DeadlineExceeded, or what the change raises.
    """
    terms = terms_of(request, state_of(request).settings.deadline_ms)
    try:
        async with asyncio.timeout_at(terms.ends):
            await asyncio.shield(asyncio.ensure_future(change(name)))
    except TimeoutError:
        raise DeadlineExceeded(terms.deadline_ms) from None


async def _body(request: Request, schema: type[Schema], state: State) -> Schema:
    """The body, whatever its Content-Type; an empty one stands for {}."""
    limit = state.settings.max_body_bytes
    body = await bodies.read_bytes(request, state.settings)
    content = bodies.inflated(exchange_of(request.scope).headers, body, limit)
    return bodies.validate(bodies.decode(content or b"{}", state.settings.max_json_depth), schema)


def _entry(name: str, version: str, reason: str) -> dict[str, str]:
    return {"name": name, "version": version, "state": "READY" if version else "UNAVAILABLE", "reason": reason}
