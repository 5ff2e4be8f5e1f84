"""render: the same numbers as pictures, PNG or SVG."""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from models.errors import OptionError
from models.inference.analyst import Analyst
from models.inference.inspection import Inspection, Timesteps, plan
from models.inference.predictor import Predictor

from ..state import state_of
from ..wire import schemas_analyses as wire
from . import bodies, work
from .documented import body, picture

router = APIRouter(prefix="/v1", tags=["analyses"])
_TYPES = ("image/png", "image/svg+xml")
_COST = 4  # passes over the text that the dearest view takes
_USES: dict[str, set[str]] = {
    "gates": {"layer", "direction", "timesteps", "units"},
    "memory": {"layer", "direction", "timesteps", "units"},
    "attribution": {"target", "timestep", "timesteps"},
    "fading": set(),
    "saturation": {"layer", "direction", "timesteps", "units"},
    "cell": {"layer", "direction", "timestep", "units"},
}


@router.post(
    "/models/{name}/render", responses=picture(*_TYPES), openapi_extra=body(wire.RenderRequest),
    summary="A picture: gates, memory, attribution, fading, saturation, or one step of the cell",
)  # fmt: skip
async def render(request: Request, name: str) -> Response:
    state = state_of(request)
    predictor = state.predictor(name)
    asked = await bodies.read(request, wire.RenderRequest, state.settings.max_body_bytes)
    media_type = bodies.accepted(request, _TYPES)
    _check_uses(asked, predictor)
    plan(Inspection(), predictor.shape)
    (text,) = await work.prepare(state, predictor, [asked.input])
    from ..pictures.views import View, gather  # imports matplotlib, for which the first picture pays

    s = asked.timesteps
    steps = None if s is None else Timesteps(s.start, s.stop, s.stride)
    view = View(asked.view, asked.layer or 0, asked.direction or "forward", asked.target, asked.timestep, steps,
                None if asked.units is None else tuple(asked.units), asked.language)  # fmt: skip
    done = await work.on_model_thread(state, _COST * len(text), lambda: gather(Analyst(predictor), text, view))
    draw: Callable[[str], bytes] = done.value
    async with state.drawing:
        content = await asyncio.to_thread(draw, media_type)
    return Response(content, media_type=media_type)


def _check_uses(asked: wire.RenderRequest, predictor: Predictor) -> None:
    """Raises: OptionError for a field that the view, or the model's head, has no use for."""
    given: dict[str, Any] = asked.model_dump(exclude_none=True, exclude={"input", "view", "language"})
    if surplus := sorted(given.keys() - _USES[asked.view]):
        fields = ", ".join(sorted(_USES[asked.view])) or "none"
        raise OptionError(f"the view {asked.view} has no use for {', '.join(surplus)}: it takes {fields}")
    if asked.view == "cell" and asked.timestep is None:
        raise OptionError("the view cell is of one step: name its timestep")
    if asked.view == "cell" and asked.units is not None and len(asked.units) != 1:
        raise OptionError(f"the view cell is of one unit, found {len(asked.units)}: name one")
