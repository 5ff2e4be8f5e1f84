"""Text and token classification as Hugging Face's clients ask and read them."""

from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from models.errors import OptionError
from models.inference.decoding import softmax
from models.inference.prediction import Prediction
from models.inference.predictor import Predictor

from ..errors import InvalidRequest
from ..state import State, state_of
from ..wire.rendering import JSON, dumps
from ..wire.schemas import HuggingFaceAnswer, HuggingFaceParameters, HuggingFaceRequest
from . import bodies, work
from .answers import Answer
from .documented import body, json_answer

router = APIRouter(tags=["hugging face"])


@router.post(
    "/models/{name}",
    openapi_extra=body(HuggingFaceRequest),
    summary="text_classification or token_classification of huggingface_hub's InferenceClient",
    responses=json_answer(HuggingFaceAnswer),
)
async def named(request: Request, name: str) -> Response:
    """Labels are nested in a list for one text too. Entities are whole, whatever the aggregation strategy."""
    state = state_of(request)
    return await _answer(request, state, state.predictor(name))


@router.post(
    "/",
    openapi_extra=body(HuggingFaceRequest),
    summary="The same of the default model",
    responses=json_answer(HuggingFaceAnswer),
)
async def default(request: Request) -> Response:
    """As `POST /models/{name}`: clients that are given the server's base URL as the model post here."""
    state = state_of(request)
    return await _answer(request, state, state.default_predictor())


async def _answer(request: Request, state: State, predictor: Predictor) -> Response:
    asked = await bodies.read(request, HuggingFaceRequest, state.settings)
    bodies.accepted(request, (JSON,))
    parameters = asked.parameters or HuggingFaceParameters()
    _check(parameters, predictor)
    texts = await work.prepare(state, predictor, asked.texts)
    costs = [len(text) for text in texts]
    done = await work.predicted(request, predictor, texts, costs, None)
    if predictor.is_tagger:
        found: list[Any] = [_entities(p, parameters) for p in done.value]
        content = found if isinstance(asked.inputs, list) else found[0]
    else:
        content = [_labels(p, parameters, predictor) for p in done.value]  # nested, for one text too
    return Answer(await work.written(10 * sum(costs), lambda: dumps(content)), JSON)


def _check(parameters: HuggingFaceParameters, predictor: Predictor) -> None:
    """Raises: OptionError for a parameter of the other task; InvalidRequest for more labels than there are."""
    given = parameters.model_dump(exclude_none=True)
    others = ("top_k", "function_to_apply") if predictor.is_tagger else ("aggregation_strategy", "ignore_labels")
    if surplus := [name for name in others if name in given]:
        raise OptionError(
            f"{surplus[0]} is an option of the other task, and this is {predictor.shape.task}: leave it out"
        )
    if parameters.aggregation_strategy == "none":
        raise OptionError(
            "aggregation_strategy is 'none' and this model answers whole entities: leave it out, or 'simple'"
        )
    labels = len(predictor.checkpoint.labels)
    if parameters.top_k is not None and parameters.top_k > labels:
        raise InvalidRequest(
            f"top_k is {parameters.top_k} and the model has {labels} labels: 1 to {labels} are allowed"
        )


def _labels(p: Prediction, parameters: HuggingFaceParameters, predictor: Predictor) -> list[dict[str, Any]]:
    logits = p.logits.astype(np.float64)
    scores = {
        "softmax": lambda: softmax(logits, predictor.checkpoint.manifest.temperature),
        "sigmoid": lambda: 1 / (1 + np.exp(-logits)),
        "none": lambda: logits,
    }[parameters.function_to_apply or "softmax"]()
    order = np.argsort(-scores, kind="stable")[: parameters.top_k]
    return [{"label": predictor.checkpoint.labels[k], "score": float(scores[k])} for k in order]


def _entities(p: Prediction, parameters: HuggingFaceParameters) -> list[dict[str, Any]]:
    ignored = parameters.ignore_labels or ()
    return [
        {"entity_group": e.label, "score": e.score, "word": e.text, "start": e.start, "end": e.end}
        for e in p.entities or ()
        if e.label not in ignored
    ]
