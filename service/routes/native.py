"""The service's own API: models, predict, inspect."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from models.errors import OptionError
from models.inference.inspection import Inspection, Select, Timesteps, plan
from models.inference.prediction import Prediction
from models.inference.predictor import Predictor

from ..errors import InvalidRequest
from ..state import State, state_of
from ..wire import rendering, schemas
from ..wire.rendering import MEDIA_TYPES, Style
from . import bodies, work
from .answers import Answer
from .documented import body, json_answer, problems

router = APIRouter(prefix="/v1", tags=["models"])


@router.get("/models", response_model=schemas.ModelList, summary="What is loaded, and what is broken and why")
async def list_models(request: Request) -> schemas.ModelList:
    """Every model that is loaded, with its labels, size, limits and figures; and each that could not be loaded."""
    state = state_of(request)
    return schemas.ModelList(
        models=[state.describe(p) for p in state.registry.predictors.values()], broken=state.broken
    )


@router.get(
    "/models/{name}",
    response_model=schemas.ModelOut,
    response_model_exclude_none=True,
    responses=problems(404, 503),
    summary="One model",
)
async def get_model(request: Request, name: str) -> schemas.ModelOut:
    """One loaded model, as in the list."""
    state = state_of(request)
    return state.describe(state.predictor(name))


@router.post(
    "/models/{name}/predict",
    responses=json_answer(schemas.Answer),
    openapi_extra=body(schemas.PredictRequest),
    summary="Labels or entities, and what happened inside when asked",
)
async def predict(request: Request, name: str) -> Response:
    """Classifiers answer with every label and its score, best first; NER models with entities and their offsets.

    With `inspect` each result also carries what `/inspect` adds.
    """
    state = state_of(request)
    predictor = state.predictor(name)
    asked = await bodies.read(request, schemas.PredictRequest, state.settings)
    style = Style(offset_unit=asked.offset_unit, top_k=_top_k(asked.top_k, predictor))
    return await _answer(request, state, predictor, asked.texts, asked.inspect, style)


@router.post(
    "/models/{name}/inspect",
    responses=json_answer(schemas.Answer, binary=True),
    openapi_extra=body(schemas.InspectRequest),
    summary="Every state and gate of every timestep",
)
async def inspect(request: Request, name: str) -> Response:
    """The answer of `/predict` with hidden states, cell states and gates: `[layer][direction][timestep][unit]`.

    `select` picks a part, `reduce` sends statistics instead. `Accept: application/vnd.safetensors` or
    `application/x-npz` answers with raw float32 arrays, keyed `r{n}.{name}`, and the JSON beside them. Each answer is
    certified: the largest difference from the same steps in float64.
    """
    state = state_of(request)
    predictor = state.predictor(name)
    asked = await bodies.read(request, schemas.InspectRequest, state.settings)
    return await _answer(request, state, predictor, asked.texts, asked, Style(offset_unit=asked.offset_unit))


async def _answer(
    request: Request,
    state: State,
    predictor: Predictor,
    texts: list[str],
    options: schemas.InspectOptions | None,
    style: Style,
) -> Response:
    """Text -> tokens -> the model thread -> bytes."""
    shown = plan(inspection(options), predictor.shape) if options else None
    if options:
        media_type = bodies.accepted(request, MEDIA_TYPES)
        style = Style(media_type, options.encoding, options.decimals, style.offset_unit, style.top_k)
    else:
        bodies.accepted(request, MEDIA_TYPES[:1])
    prepared = await work.prepare(state, predictor, texts)
    lengths, values = list(map(len, prepared)), 0
    costs = lengths
    if shown:
        values = sum(predictor.values(length, shown) for length in lengths)
        rendering.check_size(values, style, state.settings.max_answer_bytes)
        costs = [predictor.cost(length, shown) for length in lengths]
    done = await work.predicted(request, predictor, prepared, costs, shown)
    usage = {
        "tokens": sum(lengths),
        "queue_ms": round(done.queue_ms, 3),
        "compute_ms": round(done.compute_ms, 3),
    }
    write = _writer(predictor, done.value, usage, style, texts)
    size = int(values * style.work_per_value) + 10 * sum(costs)
    return Answer(await work.written(size, write), style.media_type)


def _writer(
    predictor: Predictor, predictions: list[Prediction], usage: dict[str, Any], style: Style, texts: list[str]
) -> Callable[[], bytes]:
    return lambda: rendering.answer(predictor, predictions, usage, style, texts)


def _top_k(asked: int | None, predictor: Predictor) -> int | None:
    if asked is None:
        return None
    labels = len(predictor.checkpoint.labels)
    if predictor.shape.task != "text-classification":
        raise OptionError("top_k is for classifiers, and this is an NER model: leave it out")
    if asked > labels:
        raise InvalidRequest(f"top_k is {asked} and the model has {labels} labels: 1 to {labels} are allowed")
    return asked


def inspection(options: schemas.InspectOptions) -> Inspection:
    chosen = options.select or schemas.Select()
    steps = chosen.timesteps or schemas.Timesteps()
    select = Select(
        _tuple(chosen.layers),
        _tuple(chosen.directions),
        Timesteps(steps.start, steps.stop, steps.stride),
        _tuple(chosen.units),
    )
    return Inspection(
        _tuple(options.tensors),
        options.preactivations,
        select,
        tuple(options.reduce or ()),
        options.prefix_predictions,
        options.embedding,
        options.token_scores,
    )


def _tuple(values: list[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)
