"""render: the same numbers as pictures, PNG or SVG."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from fastapi import APIRouter, Request, Response

from models.errors import OptionError
from models.inference.analyst import Analyst, Question
from models.inference.inspection import Inspection, Timesteps, plan

from ..state import state_of
from ..wire import schemas_analyses as wire
from . import bodies, work
from .analyses import attribution_price
from .documented import body, picture

router = APIRouter(prefix="/v1", tags=["analyses"])
_TYPES = ("image/png", "image/svg+xml")


@router.post(
    "/models/{name}/render",
    response_class=Response,
    responses=picture(*_TYPES),
    openapi_extra=body(wire.RenderRequest),
    summary="A picture: the text highlighted, gates, memory, attribution, fading, saturation, or one step of the cell",
)
async def render(request: Request, name: str) -> Response:
    """A PNG, or an SVG by `Accept: image/svg+xml`: one view of the numbers that the other routes answer with."""
    state = state_of(request)
    predictor = state.predictor(name)
    asked = await bodies.read(request, wire.RenderRequest, state.settings)
    media_type = bodies.accepted(request, _TYPES)
    from ..pictures.views import VIEWS, View, gather  # imports matplotlib, for which the first picture pays

    if asked.view not in VIEWS:
        raise OptionError(f"view is {asked.view[:64]!r}: allowed are {', '.join(VIEWS)}")
    kind = VIEWS[asked.view]
    _check_uses(asked, kind.uses)
    plan(Inspection(), predictor.shape)
    (text,) = await work.prepare(state, predictor, [asked.input])
    analyst, steps = Analyst(predictor), asked.timesteps
    view = View(
        asked.view,
        asked.layer or 0,
        asked.direction or "forward",
        asked.target,
        asked.timestep,
        None if steps is None else Timesteps(steps.start, steps.stop, steps.stride),
        None if asked.units is None else tuple(asked.units),
        asked.language,
    )
    price = attribution_price(predictor, text, Question()) if kind.passes is None else kind.passes * len(text)
    done = await work.on_model_thread(request, price, lambda: gather(analyst, text, view))
    draw: Callable[[str], bytes] = done.value
    async with state.drawing:
        content = await asyncio.to_thread(draw, media_type)
    return Response(content, media_type=media_type)


def _check_uses(asked: wire.RenderRequest, uses: Collection[str]) -> None:
    """Raises: OptionError for a field that the view has no use for, and for a cell without one step and one unit."""
    given: dict[str, Any] = asked.model_dump(exclude_none=True, exclude={"input", "view", "language"})
    if surplus := sorted(given.keys() - uses):
        fields = ", ".join(sorted(uses)) or "none"
        raise OptionError(f"the view {asked.view} has no use for {', '.join(surplus)}: it takes {fields}")
    if asked.view == "cell" and asked.timestep is None:
        raise OptionError("the view cell is of one step: name its timestep")
    if asked.view == "cell" and asked.units is not None and len(asked.units) != 1:
        raise OptionError(f"the view cell is of one unit, found {len(asked.units)}: name one")
