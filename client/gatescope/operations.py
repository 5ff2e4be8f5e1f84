"""What can be asked of a server: each operation once, for `Client` and for `AsyncClient`."""

import functools
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload
from urllib.parse import quote

from . import answers as a
from .errors import ProblemError
from .exchange import Patience, Request, Steps, as_file, ask, ask_for, get, parsed, post

if TYPE_CHECKING:
    from .clients import AsyncClient, Client

P = ParamSpec("P")
T = TypeVar("T")
Texts = str | Sequence[str]

_PART_CHARACTERS = 200_000  # of one request that a large batch is split into


class operation(Generic[P, T]):
    """Steps of `Operations` -> a method of Client that returns T, and one of AsyncClient that is awaited for it."""

    def __init__(self, steps: "Callable[Concatenate[Operations, P], Steps[T]]") -> None:
        self.steps = steps
        functools.update_wrapper(self, steps)  # type: ignore[arg-type]

    @overload
    def __get__(self, client: "Client", owner: Any = None) -> Callable[P, T]: ...

    @overload
    def __get__(self, client: "AsyncClient", owner: Any = None) -> Callable[P, Awaitable[T]]: ...

    @overload
    def __get__(self, client: None, owner: Any = None) -> "Callable[Concatenate[Operations, P], Steps[T]]": ...

    def __get__(self, client: Any, owner: Any = None) -> Any:
        if client is None:
            return self.steps

        @functools.wraps(self.steps)
        def method(*args: P.args, **options: P.kwargs) -> Any:
            return client._run(self.steps(client, *args, **options))

        return method


class Operations:
    """The operations of a server.

    Where one takes `model`, None is the server's default model. Texts are one string or a sequence of strings; a
    sequence of any length is sent in as many requests as it takes. Options that are None are the server's defaults.
    All raise `ProblemError` (a class for each problem, see `gatescope.errors`), `UnexpectedAnswer`, `UnwritableRequest`
    and `httpx.TransportError`.
    """

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self._default: str | None = None
        self._most_texts: int | None = None

    @operation
    def models(self) -> Steps[a.ModelList]:
        """The loaded models, and those that could not be loaded."""
        return (yield from ask_for(a.ModelList, get("/v1/models"), self.patience))

    @operation
    def model(self, name: str | None = None) -> Steps[a.ModelInfo]:
        """What there is to know of one model."""
        path = yield from self._path(name)
        return (yield from ask_for(a.ModelInfo, get(path), self.patience))

    @operation
    def info(self) -> Steps[a.ServerInfo]:
        """Version, device and limits of the server."""
        return (yield from ask_for(a.ServerInfo, get("/info"), self.patience))

    @operation
    def default_model(self) -> Steps[str]:
        """The name of the server's default model, asked for once."""
        return (yield from self._default_model())

    @operation
    def predict(
        self,
        inputs: Texts,
        model: str | None = None,
        *,
        top_k: int | None = None,
        inspect: dict[str, Any] | None = None,
        offset_unit: str | None = None,
    ) -> Steps[a.Answer]:
        """Labels or entities. inspect: also show activations, with the options of `inspect` as one dictionary."""
        options = {"top_k": top_k, "inspect": inspect, "offset_unit": offset_unit}
        path = yield from self._path(model, "predict")
        return (yield from self._in_parts(path, inputs, options, binary=inspect is not None))

    @operation
    def inspect(
        self,
        inputs: Texts,
        model: str | None = None,
        *,
        tensors: Sequence[str] | None = None,
        layers: Sequence[int] | None = None,
        directions: Sequence[str] | None = None,
        timesteps: slice | None = None,
        units: Sequence[int] | None = None,
        reduce: Sequence[str] | None = None,
        preactivations: bool | None = None,
        prefix_predictions: bool | None = None,
        embedding: bool | None = None,
        token_scores: bool | None = None,
        offset_unit: str | None = None,
        decimals: int | None = None,
        binary: bool = True,
    ) -> Steps[a.Answer]:
        """What happened inside: states, gates and more. All tensors of the model by default.

        binary: send exact float32 in a fifth of the bytes; else JSON, rounded to `decimals`.
        """
        options = {
            "tensors": _listed(tensors),
            "select": selection(layers, directions, timesteps, units),
            "reduce": _listed(reduce),
            "preactivations": preactivations,
            "prefix_predictions": prefix_predictions,
            "embedding": embedding,
            "token_scores": token_scores,
            "offset_unit": offset_unit,
            "decimals": decimals,
        }
        path = yield from self._path(model, "inspect")
        return (yield from self._in_parts(path, inputs, options, binary))

    @operation
    def file(
        self,
        verb: str,
        inputs: Texts,
        media_type: str,
        model: str | None = None,
        *,
        options: Mapping[str, Any] | None = None,
    ) -> Steps[bytes]:
        """The answer of `verb` (inspect, memory) as a file, application/vnd.safetensors or application/x-npz.

        options: the fields of the request, as in the OpenAPI document.
        """
        path = yield from self._path(model, verb)
        response = yield from ask(post(path, {"inputs": _texts(inputs), **(options or {})}, media_type), self.patience)
        return response.content

    @operation
    def memory(
        self,
        inputs: Texts,
        model: str | None = None,
        *,
        layer: int = 0,
        direction: str = "forward",
        measures: Sequence[str] | None = None,
        timesteps: slice | None = None,
        units: Sequence[int] | None = None,
        binary: bool = True,
    ) -> Steps[a.MemoryAnswer]:
        """How much of each token later states hold, and how its influence fades. binary: see `inspect`."""
        select = selection(timesteps=timesteps, units=units)
        body = {"inputs": _texts(inputs), "layer": layer, "direction": direction, "select": select}
        request = post((yield from self._path(model, "memory")), body | {"measures": _listed(measures)})
        return (yield from ask_for(a.MemoryAnswer, as_file(request) if binary else request, self.patience))

    @operation
    def attribute(
        self,
        inputs: Texts,
        model: str | None = None,
        *,
        target: str | None = None,
        timestep: int | None = None,
        method: str | None = None,
        permutations: int | None = None,
        wanted_error: float | None = None,
    ) -> Steps[a.AttributeAnswer]:
        """The contribution of each token to a logit, by the model's default method or by `method`."""
        options = {"target": target, "timestep": timestep, "method": method, "permutations": permutations}
        body = {"inputs": _texts(inputs), **options, "wanted_error": wanted_error}
        request = post((yield from self._path(model, "attribute")), body)
        return (yield from ask_for(a.AttributeAnswer, request, self.patience))

    @operation
    def intervene(
        self,
        text: str,
        interventions: Sequence[dict[str, Any]],
        model: str | None = None,
        *,
        sweep: dict[str, Any] | None = None,
    ) -> Steps[a.InterveneAnswer]:
        """The prediction after changes inside: {"target": "forget_gate", "op": "set", "value": 0.0, ...} each."""
        body = {"input": text, "interventions": list(interventions), "sweep": sweep}
        request = post((yield from self._path(model, "intervene")), body)
        return (yield from ask_for(a.InterveneAnswer, request, self.patience))

    @operation
    def compare(self, text: str, models: Sequence[str], *, method: str | None = None) -> Steps[a.CompareModelsAnswer]:
        """Several models on one text."""
        request = post("/v1/compare", {"input": text, "models": list(models), "method": method})
        return (yield from ask_for(a.CompareModelsAnswer, request, self.patience))

    @operation
    def compare_texts(self, first: str, second: str, model: str | None = None) -> Steps[a.CompareTextsAnswer]:
        """Two texts on one model."""
        request = post((yield from self._path(model, "compare")), {"inputs": [first, second]})
        return (yield from ask_for(a.CompareTextsAnswer, request, self.patience))

    @operation
    def top(
        self,
        inputs: Texts,
        unit: int,
        model: str | None = None,
        *,
        layer: int = 0,
        direction: str = "forward",
        tensor: str | None = None,
        top_k: int | None = None,
    ) -> Steps[a.TopAnswer]:
        """The tokens at which one unit is largest."""
        path = yield from self._path(model, f"units/{layer}/{direction}/{unit}/top")
        request = post(path, {"inputs": _texts(inputs), "tensor": tensor, "top_k": top_k})
        return (yield from ask_for(a.TopAnswer, request, self.patience))

    @operation
    def sums(
        self,
        text: str,
        timestep: int,
        unit: int,
        model: str | None = None,
        *,
        layer: int = 0,
        direction: str = "forward",
        terms: int | None = None,
    ) -> Steps[a.SumAnswer]:
        """The sum behind each gate of one unit at one token; terms: how many stand one by one."""
        path = yield from self._path(model, f"units/{layer}/{direction}/{unit}/sum")
        request = post(path, {"input": text, "timestep": timestep, "terms": terms})
        return (yield from ask_for(a.SumAnswer, request, self.patience))

    @operation
    def render(
        self,
        text: str,
        view: str,
        model: str | None = None,
        *,
        media_type: str = "image/png",
        layer: int | None = None,
        direction: str | None = None,
        target: str | None = None,
        timestep: int | None = None,
        timesteps: slice | None = None,
        units: Sequence[int] | None = None,
        language: str | None = None,
    ) -> Steps[bytes]:
        """A picture, as PNG or SVG (image/svg+xml)."""
        place = {"layer": layer, "direction": direction, "target": target, "timestep": timestep}
        shown = {"timesteps": _sliced(timesteps), "units": _listed(units), "language": language}
        path = yield from self._path(model, "render")
        request = post(path, {"input": text, "view": view, **place, **shown}, media_type)
        return (yield from ask(request, self.patience)).content

    @operation
    def ready(self) -> Steps[a.Readiness]:
        """Whether the server answers requests, and with which models."""
        response = yield get("/health/ready")
        return parsed(a.Readiness, response)

    @operation
    def step(
        self, text: str, state: str | None = None, model: str | None = None, *, inspect: dict[str, Any] | None = None
    ) -> Steps[a.Step]:
        """One chunk of a stream. state: of the step before, None at the beginning.

        inspect: also show the activations of the chunk's timesteps, with the options of `inspect` as one dictionary.
        """
        options = None if inspect is None else {"encoding": "base64", **inspect}
        path = yield from self._path(model, "step")
        request = post(path, {"text": text, "state": state, "inspect": options})
        return (yield from ask_for(a.Step, request, self.patience))

    def _path(self, model: str | None, verb: str = "") -> Steps[str]:
        name = (yield from self._default_model()) if model is None else model
        return f"/v1/models/{quote(name, '')}{'/' if verb else ''}{verb}"

    def _default_model(self) -> Steps[str]:
        if self._default is None:
            models = (yield from ask_for(a.ModelList, get("/v1/models"), self.patience)).models
            if not models:
                detail = "the server has no model loaded: /health/ready says why"
                raise ProblemError(404, "No model", detail, "no_model", None)
            self._default = next((m.name for m in models if m.default), models[0].name)
        return self._default

    def _in_parts(self, path: str, inputs: Texts, options: dict[str, Any], binary: bool) -> Steps[a.Answer]:
        """One answer of as many requests as the texts take."""
        texts = _texts(inputs)
        if isinstance(texts, str):
            return (yield from ask_for(a.Answer, _written(path, texts, options, binary), self.patience))
        if self._most_texts is None and len(texts) > 1:
            limits = (yield from ask_for(a.ServerInfo, get("/info"), self.patience)).limits
            self._most_texts = limits.get("max_batch_texts", len(texts))
        found = []
        for part in _parts(texts, self._most_texts or 1):
            found.append((yield from ask_for(a.Answer, _written(path, part, options, binary), self.patience)))
        return found[0] if len(found) == 1 else _together(found)


def _written(path: str, texts: Texts, options: dict[str, Any], binary: bool) -> Request:
    request = post(path, {"inputs": texts, **options})
    return as_file(request) if binary else request


def _texts(inputs: Texts) -> str | list[str]:
    return inputs if isinstance(inputs, str) else list(inputs)


def _parts(texts: list[str], most: int) -> Iterator[list[str]]:
    """The texts in order, at most so many in a part, and few enough characters; an empty list is one part."""
    part: list[str] = []
    characters = 0
    for text in texts:
        if part and (len(part) == most or characters + len(text) > _PART_CHARACTERS):
            yield part
            part, characters = [], 0
        part.append(text)
        characters += len(text)
    yield part


def _together(answers: Sequence[a.Answer]) -> a.Answer:
    """raw is that of the last part with the results of all."""
    results = tuple(result for answer in answers for result in answer.results)
    usage = a.Usage(
        sum(answer.usage.tokens for answer in answers),
        sum(answer.usage.queue_ms for answer in answers),
        sum(answer.usage.compute_ms for answer in answers),
    )
    raw = {
        "model": answers[-1].raw["model"],
        "results": [result for answer in answers for result in answer.raw["results"]],
        "usage": {"tokens": usage.tokens, "queue_ms": usage.queue_ms, "compute_ms": usage.compute_ms},
    }
    return a.Answer(answers[-1].model, results, usage, raw=raw)


def selection(
    layers: Sequence[int] | None = None,
    directions: Sequence[str] | None = None,
    timesteps: slice | None = None,
    units: Sequence[int] | None = None,
) -> dict[str, Any] | None:
    """The `select` of a request; None where everything is selected."""
    chosen = {
        "layers": _listed(layers),
        "directions": _listed(directions),
        "timesteps": _sliced(timesteps),
        "units": _listed(units),
    }
    return {name: value for name, value in chosen.items() if value is not None} or None


def _sliced(timesteps: slice | None) -> dict[str, int] | None:
    if timesteps is None:
        return None
    chosen = {"start": timesteps.start, "stop": timesteps.stop, "stride": timesteps.step}
    return {name: value for name, value in chosen.items() if value is not None}


def _listed(items: Sequence[T] | None) -> list[T] | None:
    return None if items is None else list(items)
