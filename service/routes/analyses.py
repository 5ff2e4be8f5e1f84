"""Memory, attribution, comparison and intervention: the lecture's claims as numbers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from models.analysis.attribution import Attribution, Options
from models.analysis.fading import Fading
from models.analysis.interventions import Intervention
from models.analysis.memory import Measure
from models.analysis.methods import TextCost, method_named
from models.errors import ActivationsUnavailable, SelectionError
from models.inference.analyst import Analyst, MemoryReport, Question
from models.inference.inspection import ALIASES, Inspection, Select, Timesteps, plan
from models.inference.prediction import Prediction, Prepared
from models.inference.predictor import Predictor

from ..errors import InvalidRequest
from ..state import State, state_of
from ..wire import rendering
from ..wire import rendering_analyses as written
from ..wire import schemas_analyses as wire
from ..wire.rendering import JSON, MEDIA_TYPES, Style
from ..wire.schemas import Timesteps as TimestepsIn
from . import bodies, work
from .answers import Answer
from .documented import body, json_answer

router = APIRouter(prefix="/v1", tags=["analyses"])
_BACKWARD = 3  # a pass back through time costs about two of the passes forward


@router.post(
    "/models/{name}/memory",
    responses=json_answer(wire.MemoryAnswer, binary=True),
    openapi_extra=body(wire.MemoryRequest),
    summary="What the belt still carries, and how influence fades",
)
async def memory(request: Request, name: str) -> Response:
    """How much of each token an LSTM's cell state holds at each later one, and how the gradient of the output fades.

    `retention` and `mass` are products of forget gates between two tokens (LSTM alone); `gradient_norm` is that of the
    predicted label's logit by each token's x_t, and `fading` the same against distance, with its half-life. Binary
    forms as in `/inspect`.
    """
    state, predictor, asked = await _read(request, name, wire.MemoryRequest)
    style = Style(bodies.accepted(request, MEDIA_TYPES), asked.encoding, asked.decimals, asked.offset_unit)
    measures = _measures(asked.measures, predictor)
    matrices: list[Measure] = [m for m in measures if m != "gradient_norm"]
    window = asked.select or wire.Window()
    analyst, texts = Analyst(predictor), await work.prepare(state, predictor, asked.texts)
    selections = [
        analyst.select(t, asked.layer, asked.direction, _slice(window.timesteps), window.units) for t in texts
    ]
    values = [len(matrices) * len(s.timesteps) ** 2 + len(t) for s, t in zip(selections, texts, strict=True)]
    rendering.check_size(sum(values), style, state.settings.max_answer_bytes)

    def compute() -> list[MemoryReport]:
        return [analyst.memory(t, s, matrices) for t, s in zip(texts, selections, strict=True)]

    done = await work.on_model_thread(request, _BACKWARD * sum(map(len, texts)), compute)
    write = partial(written.memory, predictor, texts, done.value, measures, style)
    return Answer(await work.written(sum(values), write), style.media_type)


@router.post(
    "/models/{name}/attribute",
    responses=json_answer(wire.AttributeAnswer),
    openapi_extra=body(wire.AttributeRequest),
    summary="Which tokens made this logit, by the model's default method or a named one",
)
async def attribute(request: Request, name: str) -> Response:
    """The contribution of each token to a logit, by the method asked or by the model's default one.

    What a method's contributions add up to, and what its bias is, differs: `completeness_error` says what is missing
    from the sum, and `warning` speaks where large contributions cancel. `occlusion` and `/intervene` are causal checks.
    """
    state, predictor, asked = await _read(request, name, wire.AttributeRequest)
    bodies.accepted(request, (JSON,))
    analyst, texts = Analyst(predictor), await work.prepare(state, predictor, asked.texts)
    options = Options(asked.permutations, asked.wanted_error)
    question = Question(asked.target, asked.timestep, asked.method or analyst.default_method, options)
    price = sum(attribution_price(predictor, t, question) for t in texts)

    def compute() -> list[Attribution]:
        return [analyst.attribute(t, question) for t in texts]

    done = await work.on_model_thread(request, price, compute)
    answers = zip(texts, done.value, strict=True)
    return _json({"results": [written.attribution(analyst, t, a, asked.offset_unit) for t, a in answers]})


@router.post(
    "/models/{name}/intervene",
    responses=json_answer(wire.InterveneAnswer),
    openapi_extra=body(wire.InterveneRequest),
    summary="What if a gate, a unit or a state had been another",
)
async def intervene(request: Request, name: str) -> Response:
    """The prediction with and without changes of tensors at chosen layers, timesteps and units.

    Everything after a change is computed anew from it. A `sweep` makes one more change at each unit, or each timestep,
    alone, and answers with the difference of the logits for each.
    """
    state, predictor, asked = await _read(request, name, wire.InterveneRequest)
    bodies.accepted(request, (JSON,))
    (text,) = await work.prepare(state, predictor, [asked.input])
    changes = [_intervention(change) for change in asked.interventions]
    swept = _swept(asked.sweep) if asked.sweep else None
    variants = 2 + ({"units": predictor.shape.units, "timesteps": len(text)}[asked.sweep.over] if asked.sweep else 0)
    per_variant = (
        len(predictor.checkpoint.tags) * len(text) if predictor.is_tagger else len(predictor.checkpoint.labels)
    )
    rendering.check_size(variants * per_variant, Style(decimals=9), state.settings.max_answer_bytes)
    over = asked.sweep.over if asked.sweep else None
    done = await work.on_model_thread(
        request, variants * len(text), lambda: Analyst(predictor).intervene(text, changes, swept, over)
    )
    found = done.value
    return _json(
        {
            "baseline": written.prediction(found.baseline),
            "intervened": written.prediction(found.intervened),
            "delta_logits": np.ascontiguousarray(found.delta),
            "sweep": [{"index": n, "delta_logits": np.ascontiguousarray(d)} for n, d in enumerate(found.swept)],
        }
    )


@router.post(
    "/compare",
    responses=json_answer(wire.CompareModelsAnswer),
    openapi_extra=body(wire.CompareModelsRequest),
    summary="Several models on one text, on one absolute scale",
)
async def compare_models(request: Request) -> Response:
    """One text on several models: prediction, fading curve with half-life, and attribution, on one absolute scale."""
    state = state_of(request)
    asked = await bodies.read(request, wire.CompareModelsRequest, state.settings)
    bodies.accepted(request, (JSON,))
    if len(set(asked.models)) != len(asked.models):
        raise InvalidRequest(f"models names one twice: {', '.join(asked.models)}")
    predictors = [state.predictor(name) for name in asked.models]
    method = asked.method or Analyst(predictors[0]).default_method
    out = []
    for predictor in predictors:
        analyst = Analyst(predictor)
        (text,) = await work.prepare(state, predictor, [asked.input])
        question = Question(None, len(text) - 1 if predictor.is_tagger else None, method)  # NER: the last tag
        price = attribution_price(predictor, text, question) + (1 + _BACKWARD) * len(text)
        done = await work.on_model_thread(request, price, _comparison(analyst, text, question))
        answer, fade, found = done.value
        out.append(
            {
                "name": predictor.checkpoint.manifest.name,
                "prediction": written.prediction(answer),
                "fading": written.fading(fade),
                "attribution": written.attribution(analyst, text, found),
            }
        )
    return _json({"models": out})


@router.post(
    "/models/{name}/compare",
    responses=json_answer(wire.CompareTextsAnswer),
    openapi_extra=body(wire.CompareTextsRequest),
    summary="Two texts on one model, token by token",
)
async def compare_texts(request: Request, name: str) -> Response:
    """Two texts on one model: which of their tokens are equal, and how far apart the top layer's states are there."""
    state, predictor, asked = await _read(request, name, wire.CompareTextsRequest)
    bodies.accepted(request, (JSON,))
    first, second = await work.prepare(state, predictor, asked.inputs)
    done = await work.on_model_thread(
        request, len(first) + len(second), lambda: Analyst(predictor).compare_texts(first, second)
    )
    return _json(
        {
            "predictions": [written.prediction(p) for p in done.value.predictions],
            "token_lists": [rendering.token_list(predictor, t.tokens) for t in (first, second)],
            "aligned": done.value.pairs,
            "distance": done.value.distance,
        }
    )


@router.post(
    "/models/{name}/units/{layer}/{direction}/{unit}/top",
    responses=json_answer(wire.TopAnswer),
    openapi_extra=body(wire.TopRequest),
    summary="The tokens at which one unit is largest",
)
async def top(request: Request, name: str, layer: str, direction: str, unit: str) -> Response:
    """The tokens of some texts at which one unit of a tensor has its largest values: what the unit looks for."""
    state, predictor, asked = await _read(request, name, wire.TopRequest)
    bodies.accepted(request, (JSON,))
    select = Select((_index("layer", layer),), (direction,), Timesteps(), (_index("unit", unit),))
    shown = plan(Inspection((asked.tensor,), select=select), predictor.shape)
    texts = await work.prepare(state, predictor, asked.texts)
    done = await work.on_model_thread(request, sum(map(len, texts)), lambda: predictor.run(texts, shown))
    values = [p.inside.tensors[shown.tensors[0]][0, 0, :, 0] for p in done.value if p.inside]
    return _json({"top": written.largest(texts, values, asked.top_k, asked.offset_unit)})


@router.post(
    "/models/{name}/units/{layer}/{direction}/{unit}/sum",
    responses=json_answer(wire.SumAnswer),
    openapi_extra=body(wire.SumRequest),
    summary="The sum behind each gate of one unit, term by term",
)
async def gate_sums(request: Request, name: str, layer: str, direction: str, unit: str) -> Response:
    """z = W_ih x_t + W_hh h_{t-1} + b of one unit at one token: the largest terms, each a weight beside its value.

    Of an LSTM for each gate, of an RNN for its state; computed in float64, so that it adds up.
    """
    state, predictor, asked = await _read(request, name, wire.SumRequest)
    bodies.accepted(request, (JSON,))
    (text,) = await work.prepare(state, predictor, [asked.input])
    if asked.timestep >= len(text):
        raise SelectionError(
            f"timestep is {asked.timestep}, the text has {len(text)}: 0 to {len(text) - 1} are allowed"
        )
    analyst, step = Analyst(predictor), Timesteps(asked.timestep, asked.timestep + 1)
    selection = analyst.select(text, _index("layer", layer), direction, step, (_index("unit", unit),))
    done = await work.on_model_thread(request, len(text), lambda: analyst.gate_sums(text, selection, asked.terms))
    token = rendering.token_list(predictor, text.tokens)[asked.timestep]
    return _json({"token": token, "unit": selection.units[0], "sums": done.value})


async def _read(request: Request, name: str, schema: type[Any]) -> tuple[State, Predictor, Any]:
    """Raises: NotReady, UnknownModel, and what is wrong with the body."""
    state = state_of(request)
    predictor = state.predictor(name)
    return state, predictor, await bodies.read(request, schema, state.settings)


def _comparison(
    analyst: Analyst, text: Prepared, question: Question
) -> Callable[[], tuple[Prediction, Fading, Attribution]]:
    """On the model thread: one model's answer, its fading, and which tokens made it."""
    return lambda: (analyst.predictor.run([text])[0], analyst.fading(text), analyst.attribute(text, question))


def attribution_price(predictor: Predictor, text: Prepared, question: Question) -> int:
    """Tokens read for an attribution.

    Raises: OptionError for an unknown method, or options that it does not take.
    """
    method = method_named(question.method or Analyst(predictor).default_method)
    method.check(predictor.shape.cell, question.options)
    return method.price(TextCost(len(text), predictor.reads_prefixes_at_once, question.options))


def _measures(asked: Sequence[wire.Measure] | None, predictor: Predictor) -> list[wire.Measure]:
    """Raises: ActivationsUnavailable, InvalidRequest."""
    has: list[wire.Measure] = (
        ["retention", "mass", "gradient_norm"] if predictor.shape.cell == "lstm" else ["gradient_norm"]
    )
    if asked is None:
        return has
    if not asked or len(set(asked)) != len(asked):
        raise InvalidRequest(f"measures is {list(asked)}: name one or more of {', '.join(has)}, each once")
    for measure in asked:
        if measure not in has:
            raise ActivationsUnavailable(measure, has)
    return list(asked)


def _slice(steps: TimestepsIn | None) -> Timesteps | None:
    return None if steps is None else Timesteps(steps.start, steps.stop, steps.stride)


def _intervention(change: wire.Change) -> Intervention:
    return Intervention(
        ALIASES.get(change.target, change.target),
        change.op,
        change.value,
        change.layer,
        change.direction,
        None if change.timesteps == "all" else tuple(change.timesteps),
        None if change.units == "all" else tuple(change.units),
    )


def _swept(change: wire.Sweep) -> Intervention:
    """Raises: InvalidRequest where the field that is swept over is given too."""
    if change.over in change.model_fields_set:
        raise InvalidRequest(f"sweep runs over {change.over} and names {change.over} too: leave the field out")
    return _intervention(change)


def _index(what: str, text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise SelectionError(f"{what} is {text[:32]!r} in the address: a number from 0 is allowed")
    return int(text)


def _json(value: Any) -> Response:
    return Answer(rendering.dumps(value), JSON)
