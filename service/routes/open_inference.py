"""The Open Inference Protocol v2, as the clients of KServe and Triton speak it. Errors: `service.wire.problems`."""

from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from models.inference.inspection import Inspection, Plan, plan
from models.inference.prediction import Prediction, Prepared
from models.inference.predictor import Predictor

from ..engine.statistics import ModelStatistics, Tally
from ..engine.terms import Terms
from ..errors import InvalidRequest, UnknownModel
from ..exchange import exchange_of
from ..state import State, state_of, terms_of
from ..version import VERSION
from ..wire import open_inference as wire
from ..wire import rendering
from ..wire.rendering import JSON, Style, dumps
from . import bodies, work
from .answers import Answer

router = APIRouter(prefix="/v2", include_in_schema=False)  # the protocol publishes its own OpenAPI
_VERSION = "1"
_MODEL, _MODEL_VERSION = "/models/{name}", "/models/{name}/versions/{version}"
_CLASSIFIER, _TAGGER = ("label", "score", "logits"), ("entities",)
_EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository", "statistics")


@router.get("")
async def server() -> dict[str, Any]:
    return {"name": "gatescope", "version": VERSION, "extensions": list(_EXTENSIONS)}


@router.get("/health/live")
async def live() -> dict[str, bool]:
    return {"live": True}


@router.get("/health/ready")
async def ready(request: Request, response: Response) -> dict[str, bool]:
    state = state_of(request)
    if not state.ready:
        response.status_code = 503
        response.headers["retry-after"] = "1"
    return {"ready": state.ready}


@router.get("/models/stats")
async def all_statistics(request: Request) -> dict[str, Any]:
    state = state_of(request)
    return {"model_stats": [_statistics(name, state.statistics[name]) for name in state.registry.names]}


@router.get(_MODEL)
@router.get(_MODEL_VERSION)
async def metadata(request: Request, name: str, version: str = _VERSION) -> dict[str, Any]:
    predictor = _predictor(state_of(request), name, version)
    return {
        "name": name,
        "versions": [_VERSION],
        "platform": "gatescope",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": n, "datatype": d, "shape": s} for n, d, s in _outputs(predictor)],
    }


@router.get(f"{_MODEL}/ready")
@router.get(f"{_MODEL_VERSION}/ready")
async def model_ready(request: Request, name: str, version: str = _VERSION) -> dict[str, Any]:
    _predictor(state_of(request), name, version)
    return {"name": name, "ready": True}


@router.get(f"{_MODEL}/config")
@router.get(f"{_MODEL_VERSION}/config")
async def configuration(request: Request, name: str, version: str = _VERSION) -> dict[str, Any]:
    types = {"BYTES": "TYPE_STRING", "FP32": "TYPE_FP32"}
    predictor = _predictor(state_of(request), name, version)
    return {
        "name": name,
        "platform": "gatescope",
        "backend": "gatescope",
        "max_batch_size": 0,  # the first axis of text is the batch
        "input": [{"name": "text", "data_type": "TYPE_STRING", "dims": [-1]}],
        "output": [{"name": n, "data_type": types[d], "dims": s} for n, d, s in _outputs(predictor)],
    }


@router.get(f"{_MODEL}/stats")
@router.get(f"{_MODEL_VERSION}/stats")
async def statistics(request: Request, name: str, version: str = _VERSION) -> dict[str, Any]:
    state = state_of(request)
    _predictor(state, name, version)
    return {"model_stats": [_statistics(name, state.statistics[name])]}


@router.post(
    f"{_MODEL}/infer",
)
@router.post(f"{_MODEL_VERSION}/infer")
async def infer(request: Request, name: str, version: str = _VERSION) -> Response:
    """The body is read whatever its Content-Type: Triton's client sends none."""
    state = state_of(request)
    predictor = _predictor(state, name, version)
    body = await bodies.read_bytes(request, state.settings)
    content = bodies.inflated(exchange_of(request.scope).headers, body, state.settings.max_body_bytes)
    json, raw = wire.split(content, request.headers.get(wire.HEADER_LENGTH))
    asked = bodies.validate(bodies.decode(json, state.settings.max_json_depth), wire.InferRequest)
    if asked.model_name not in (None, name) or asked.model_version not in (None, version):
        raise InvalidRequest(f"the path names {name} version {version}, the body another model: let them be equal")
    names = _asked_outputs(asked, predictor)
    tensors = [name for name in names if name in predictor.network.encoder.tensors]
    shown = plan(Inspection(tuple(tensors)), predictor.shape) if tensors else None
    texts = await work.prepare(state, predictor, wire.texts_of(asked, raw))
    values = _values(asked, tensors, predictor, texts, shown, state.settings.max_answer_bytes)
    terms = _terms(asked, request, state.settings.deadline_ms)
    costs = [predictor.cost(len(text), shown) for text in texts]
    done = await work.predicted(request, predictor, texts, costs, shown, terms)

    def write() -> tuple[bytes, int | None]:
        outputs = [_output(name, done.value) for name in names]
        return wire.encode({"model_name": name, "model_version": _VERSION}, outputs, asked)

    answer, header_length = await work.written(values + 10 * sum(costs), write)
    if header_length is None:
        return Answer(answer, JSON)
    return Response(answer, 200, {wire.HEADER_LENGTH: str(header_length)}, "application/octet-stream")


def _predictor(state: State, name: str, version: str) -> Predictor:
    """Raises: NotReady, UnknownModel, also for a version other than the one there is."""
    predictor = state.predictor(name)
    if version != _VERSION:
        raise UnknownModel(f"{name} version {version}", state.registry.names)
    return predictor


def _outputs(predictor: Predictor) -> list[tuple[str, str, list[int]]]:
    """(name, datatype, shape) of everything that a client may name."""
    if predictor.is_tagger:
        found = [("entities", "BYTES", [-1])]
    else:
        labels = len(predictor.checkpoint.labels)
        found = [("label", "BYTES", [-1]), ("score", "FP32", [-1]), ("logits", "FP32", [-1, labels])]
    manifest = predictor.checkpoint.manifest
    axes = [manifest.layers, len(manifest.directions), -1, manifest.units]
    return found + [(name, "FP32", axes) for name in predictor.network.encoder.tensors]


def _asked_outputs(asked: wire.InferRequest, predictor: Predictor) -> list[str]:
    """Raises: InvalidRequest for an output that the model lacks, or that is named twice."""
    if not asked.outputs:
        return list(_TAGGER if predictor.is_tagger else _CLASSIFIER)
    names, known = [output.name for output in asked.outputs], [name for name, _, _ in _outputs(predictor)]
    for n, name in enumerate(names):
        if name not in known:
            raise InvalidRequest(f"the model has no output {name[:64]!r}: it has {', '.join(known)}")
        if name in names[:n]:
            raise InvalidRequest(f"the output {name} is named twice: name it once")
    return names


def _values(
    asked: wire.InferRequest,
    tensors: list[str],
    predictor: Predictor,
    texts: list[Prepared],
    shown: Plan | None,
    limit: int,
) -> int:
    """How many numbers of states and gates the answer has.

    Raises: InvalidRequest for more than one text, since the protocol has no ragged tensors; AnswerTooLarge.
    """
    if shown is None:
        return 0
    if len(texts) != 1:
        raise InvalidRequest(f"{tensors[0]} is asked of {len(texts)} texts: states and gates are of one text a request")
    values = predictor.values(len(texts[0]), shown)
    binary = all(asked.is_binary(name) for name in tensors)
    rendering.check_size(values, Style(rendering.SAFETENSORS if binary else JSON), limit)
    return values


def _terms(asked: wire.InferRequest, request: Request, longest_ms: int) -> Terms:
    """Raises: InvalidRequest for a timeout that is longer than the server's own deadline, longest_ms."""
    terms, microseconds = terms_of(request, longest_ms), asked.parameters.timeout
    if microseconds is None:
        return terms
    if microseconds > longest_ms * 1000:
        raise InvalidRequest(
            f"timeout is {microseconds} microseconds: at most {longest_ms * 1000} (GATESCOPE_DEADLINE_MS)"
        )
    return Terms(-(-microseconds // 1000), terms.arrived, terms.departure)


def _output(name: str, predictions: list[Prediction]) -> wire.OutputTensor:
    if name == "entities":
        return wire.OutputTensor(name, [dumps(p.entities or ()).decode() for p in predictions])
    best = [p.scores[0] for p in predictions if p.scores]
    if name == "label":
        return wire.OutputTensor(name, [label for label, _ in best])
    if name == "score":
        return wire.OutputTensor(name, np.array([score for _, score in best], np.float32))
    if name == "logits":
        return wire.OutputTensor(name, np.stack([p.logits for p in predictions]))
    inside = predictions[0].inside
    assert inside is not None
    return wire.OutputTensor(name, inside.tensors[name])


def _statistics(name: str, found: ModelStatistics) -> dict[str, Any]:
    nothing = Tally()
    pairs = {"success": found.success, "fail": found.fail, "queue": found.queue, "compute_infer": found.compute}
    pairs |= dict.fromkeys(("compute_input", "compute_output", "cache_hit", "cache_miss"), nothing)
    return {
        "name": name,
        "version": _VERSION,
        "last_inference": int(found.last_inference_s * 1000),
        "inference_count": found.texts,
        "execution_count": found.success.count,
        "inference_stats": {key: {"count": pair.count, "ns": pair.ns} for key, pair in pairs.items()},
        "batch_stats": [],
    }
