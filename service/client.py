"""A typed httpx client of the service, for the command line, README and tests. Imports no torch.

with Client("http://127.0.0.1:8000") as gatescope:
    answer = gatescope.inspect("zh-sentiment-lstm", "我想吃汉堡", tensors=["forget_gate"])
    answer.results[0].tensors["forget_gate"].shape
"""

import json
from collections.abc import Sequence
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from .wire import schemas
from .wire import schemas_analyses as analyses

Texts = str | Sequence[str]
Answer = TypeVar("Answer", bound=BaseModel)


class ProblemError(Exception):
    """The service answered with an error; `problem` is its body (RFC 9457)."""

    def __init__(self, problem: schemas.Problem) -> None:
        self.problem = problem
        super().__init__(problem.detail)


class UnwritableRequest(Exception):
    """A value of the request has no place in JSON: NaN, infinity or half of a surrogate pair."""

    def __init__(self, error: ValueError) -> None:
        super().__init__(f"the request cannot be written as JSON in UTF-8 ({error}): give other values")


class UnexpectedAnswer(Exception):
    """Something answered at this address, but not as gatescope does."""

    def __init__(self, response: httpx.Response) -> None:
        request, kind = response.request, response.headers.get("content-type", "no content type")
        self.status = response.status_code
        super().__init__(
            f"{request.url.copy_with(path='/')} answers, but it is not a gatescope server of this version: "
            f"{request.method} {request.url.path} gave {response.status_code} with {kind[:60]}"
        )


class Client:
    """One connection pool to one server.

    Where a method takes `model`, None is the server's default model. Every method raises ProblemError where the server
    refuses, UnexpectedAnswer where the server is another, UnwritableRequest, and httpx.TransportError where it is not
    reached.
    """

    def __init__(self, base_url: str = "http://127.0.0.1:8000", timeout_s: float = 60.0) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=timeout_s)
        self._default: str | None = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def models(self) -> schemas.ModelList:
        return self._get("/v1/models", schemas.ModelList)

    def model(self, name: str) -> schemas.ModelOut:
        return self._get(f"/v1/models/{quote(name, '')}", schemas.ModelOut)

    def info(self) -> schemas.Info:
        return self._get("/info", schemas.Info)

    def predict(self, model: str | None, inputs: Texts, **options: Any) -> schemas.Answer:
        """options: top_k, inspect, offset_unit."""
        return self._post(self._path(model, "predict"), _inputs(inputs, options), schemas.Answer)

    def inspect(self, model: str | None, inputs: Texts, **options: Any) -> schemas.Answer:
        """options: tensors, select, reduce, preactivations, ...: the fields of `schemas.InspectRequest`."""
        return self._post(self._path(model, "inspect"), _inputs(inputs, options), schemas.Answer)

    def inspect_file(self, model: str | None, inputs: Texts, media_type: str, **options: Any) -> bytes:
        """The answer of `inspect` as a file, application/vnd.safetensors or application/x-npz."""
        return self._send("POST", self._path(model, "inspect"), _inputs(inputs, options), media_type).content

    def memory(self, model: str | None, inputs: Texts, **options: Any) -> analyses.MemoryAnswer:
        """How much of each token later states hold; options: the fields of `schemas_analyses.MemoryRequest`."""
        return self._post(self._path(model, "memory"), _inputs(inputs, options), analyses.MemoryAnswer)

    def attribute(self, model: str | None, inputs: Texts, **options: Any) -> analyses.AttributeAnswer:
        """The contribution of each token to a logit; options: target, timestep (NER), method."""
        return self._post(self._path(model, "attribute"), _inputs(inputs, options), analyses.AttributeAnswer)

    def intervene(
        self, model: str | None, text: str, interventions: Sequence[Any], **options: Any
    ) -> analyses.InterveneAnswer:
        """The prediction after changes inside; interventions as `schemas_analyses.Change`; options: sweep."""
        body = {"input": text, "interventions": list(interventions), **options}
        return self._post(self._path(model, "intervene"), body, analyses.InterveneAnswer)

    def compare(self, text: str, models: Sequence[str], **options: Any) -> analyses.CompareModelsAnswer:
        """Several models on one text; options: method."""
        body = {"input": text, "models": list(models), **options}
        return self._post("/v1/compare", body, analyses.CompareModelsAnswer)

    def compare_texts(self, model: str | None, first: str, second: str) -> analyses.CompareTextsAnswer:
        """Two texts on one model."""
        return self._post(self._path(model, "compare"), {"inputs": [first, second]}, analyses.CompareTextsAnswer)

    def top(
        self, model: str | None, layer: int, direction: str, unit: int, inputs: Texts, **options: Any
    ) -> analyses.TopAnswer:
        """The tokens at which one unit is largest; options: tensor, top_k."""
        path = self._path(model, f"units/{layer}/{direction}/{unit}/top")
        return self._post(path, _inputs(inputs, options), analyses.TopAnswer)

    def render(self, model: str | None, text: str, view: str, media_type: str = "image/png", **options: Any) -> bytes:
        """A picture, as PNG or SVG; options: the fields of `schemas_analyses.RenderRequest`."""
        body = {"input": text, "view": view, **options}
        return self._send("POST", self._path(model, "render"), body, media_type).content

    def ready(self) -> schemas.Readiness:
        return _parsed(self._http.get("/health/ready"), schemas.Readiness)

    def default_model(self) -> str:
        """The name of the server's default model, asked for once.

        Raises: ProblemError where no model is loaded.
        """
        if self._default is None:
            models = self.models().models
            if not models:
                raise ProblemError(_no_model())
            self._default = next((m.name for m in models if m.default), models[0].name)
        return self._default

    def _path(self, model: str | None, verb: str) -> str:
        return f"/v1/models/{quote(self.default_model() if model is None else model, '')}/{verb}"

    def _get(self, path: str, schema: type[Answer]) -> Answer:
        return _parsed(self._send("GET", path), schema)

    def _post(self, path: str, body: dict[str, Any], schema: type[Answer]) -> Answer:
        return _parsed(self._send("POST", path, body), schema)

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None = None, accept: str | None = None
    ) -> httpx.Response:
        headers = {} if accept is None else {"accept": accept}
        if body is not None:
            headers["content-type"] = "application/json"
        response = self._http.request(method, path, headers=headers, content=_written(body))
        if response.is_success:
            return response
        raise ProblemError(_parsed(response, schemas.Problem))


def _inputs(inputs: Texts, options: dict[str, Any]) -> dict[str, Any]:
    return {"inputs": inputs if isinstance(inputs, str) else list(inputs), **options}


def _written(body: dict[str, Any] | None) -> bytes | None:
    """Raises: UnwritableRequest."""
    try:
        return None if body is None else json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise UnwritableRequest(error) from None


def _parsed(response: httpx.Response, schema: type[Answer]) -> Answer:
    """Raises: UnexpectedAnswer."""
    try:
        return schema.model_validate_json(response.content)
    except ValueError as error:
        raise UnexpectedAnswer(response) from error


def _no_model() -> schemas.Problem:
    detail = "the server has no model loaded: /health/ready says why"
    return schemas.Problem(
        type="urn:gatescope:problem:no_model",
        title="No model",
        status=404,
        detail=detail,
        error=detail,
        error_type="no_model",
    )
