"""A typed httpx client of the service, for the command line, README and tests. Imports no torch.

with Client("http://127.0.0.1:8000") as gatescope:
    answer = gatescope.inspect("zh-sentiment-lstm", "我想吃汉堡", tensors=["forget_gate"])
    answer.results[0].tensors["forget_gate"].shape
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import httpx

from .wire import schemas
from .wire import schemas_analyses as analyses

Texts = str | Sequence[str]


class ProblemError(Exception):
    """The service answered with an error; `problem` is its body (RFC 9457)."""

    def __init__(self, problem: schemas.Problem) -> None:
        self.problem = problem
        super().__init__(problem.detail)


class Client:
    """One connection pool to one server.

    Every method raises ProblemError where the server refuses, and httpx.TransportError where it cannot be reached.
    """

    def __init__(self, base_url: str = "http://127.0.0.1:8000", timeout_s: float = 60.0) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=timeout_s)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def models(self) -> schemas.ModelList:
        return schemas.ModelList.model_validate(self._json("GET", "/v1/models"))

    def model(self, name: str) -> schemas.ModelOut:
        return schemas.ModelOut.model_validate(self._json("GET", f"/v1/models/{name}"))

    def predict(self, model: str, inputs: Texts, **options: Any) -> schemas.Answer:
        """options: top_k, inspect, offset_unit."""
        return self._answer(model, "predict", inputs, options)

    def inspect(self, model: str, inputs: Texts, **options: Any) -> schemas.Answer:
        """options: tensors, select, reduce, preactivations, ...: the fields of `schemas.InspectRequest`."""
        return self._answer(model, "inspect", inputs, options)

    def memory(self, model: str, inputs: Texts, **options: Any) -> analyses.MemoryAnswer:
        """How much of each token later states hold; options: the fields of `schemas_analyses.MemoryRequest`."""
        return analyses.MemoryAnswer.model_validate(self._post(f"/v1/models/{model}/memory", inputs, options))

    def attribute(self, model: str, inputs: Texts, **options: Any) -> analyses.AttributeAnswer:
        """The contribution of each token to a logit; options: target, timestep (NER), method."""
        return analyses.AttributeAnswer.model_validate(self._post(f"/v1/models/{model}/attribute", inputs, options))

    def intervene(
        self, model: str, text: str, interventions: Sequence[Any], **options: Any
    ) -> analyses.InterveneAnswer:
        """The prediction after changes inside; interventions as `schemas_analyses.Change`; options: sweep."""
        body = {"input": text, "interventions": list(interventions), **options}
        return analyses.InterveneAnswer.model_validate(self._json("POST", f"/v1/models/{model}/intervene", body))

    def compare(self, text: str, models: Sequence[str]) -> analyses.CompareModelsAnswer:
        """Several models on one text."""
        body = {"input": text, "models": list(models)}
        return analyses.CompareModelsAnswer.model_validate(self._json("POST", "/v1/compare", body))

    def compare_texts(self, model: str, first: str, second: str) -> analyses.CompareTextsAnswer:
        """Two texts on one model."""
        path = f"/v1/models/{model}/compare"
        return analyses.CompareTextsAnswer.model_validate(self._json("POST", path, {"inputs": [first, second]}))

    def render(self, model: str, text: str, view: str, media_type: str = "image/png", **options: Any) -> bytes:
        """A picture, as PNG or SVG; options: the fields of `schemas_analyses.RenderRequest`."""
        body = {"input": text, "view": view, **options}
        return self._send("POST", f"/v1/models/{model}/render", body, {"accept": media_type}).content

    def ready(self) -> schemas.Readiness:
        return schemas.Readiness.model_validate(self._http.get("/health/ready").json())

    def _answer(self, model: str, verb: str, inputs: Texts, options: dict[str, Any]) -> schemas.Answer:
        return schemas.Answer.model_validate(self._post(f"/v1/models/{model}/{verb}", inputs, options))

    def _post(self, path: str, inputs: Texts, options: dict[str, Any]) -> Any:
        return self._json("POST", path, {"inputs": inputs if isinstance(inputs, str) else list(inputs), **options})

    def _json(self, method: str, path: str, body: Any = None) -> Any:
        return self._send(method, path, body, {}).json()

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> httpx.Response:
        content = {} if body is None else {"json": body}
        response = self._http.request(method, path, headers=headers, **content)
        if response.is_success:
            return response
        try:
            raise ProblemError(schemas.Problem.model_validate(response.json()))
        except ValueError:
            response.raise_for_status()
            raise
