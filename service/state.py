"""What lives as long as the app: settings, registry, engine. Built once; routes reach it through the request."""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field

import torch
from starlette.requests import Request

from models.inference.analyst import default_method
from models.inference.predictor import Predictor

from .engine.engine import Engine
from .engine.readings import Readings
from .engine.statistics import ModelStatistics
from .engine.terms import Terms
from .errors import InvalidRequest, NotReady
from .exchange import Exchange, exchange_of
from .figures.exposition import Exposition
from .registry.control import Control
from .registry.registry import Registry
from .sealing import Sealer
from .settings import Settings
from .wire import schemas

ANALYSES = ("memory", "attribute", "intervene", "compare", "render", "top", "sum")  # the routes that answer


@dataclass(frozen=True)
class State:
    settings: Settings
    registry: Registry
    control: Control
    engine: Engine
    device: torch.device
    leaving: asyncio.Event  # set on SIGTERM: readiness is off, requests are still answered
    metrics: Exposition
    drawing: asyncio.Lock  # one picture at a time: matplotlib is not thread-safe
    sealer: Sealer
    readings: Readings = field(default_factory=Readings)
    streams: set[object] = field(default_factory=set)  # WebSockets that are open
    statistics: defaultdict[str, ModelStatistics] = field(default_factory=lambda: defaultdict(ModelStatistics))

    @property
    def ready(self) -> bool:
        return self.registry.loaded and bool(self.registry.models.versions) and not self.leaving.is_set()

    @property
    def broken(self) -> list[schemas.Broken]:
        return [schemas.Broken(name=name, reason=reason) for name, reason in self.registry.broken.items()]

    def predictor(self, name: str) -> Predictor:
        """Raises: NotReady while models load, UnknownModel."""
        if not self.registry.loaded:
            raise NotReady("loading its models")
        return self.registry.get(name)

    def default_predictor(self) -> Predictor:
        """Raises: NotReady while models load, and where none could be loaded."""
        name = self.registry.default
        if not self.registry.loaded or name is None:
            raise NotReady("without a model that is loaded")
        return self.registry.get(name)

    def describe(self, predictor: Predictor) -> schemas.ModelOut:
        checkpoint, network = predictor.checkpoint, predictor.network
        m = checkpoint.manifest
        return schemas.ModelOut(
            name=m.name,
            task=m.task,
            cell=m.cell,
            language=m.language,
            description=m.description,
            layers=m.layers,
            directions=list(m.directions),
            units=m.units,
            embedding_size=network.embedding.size,
            vocabulary_size=len(predictor.vocabulary),
            parameters=checkpoint.parameters,
            labels=list(checkpoint.labels),
            label_names=m.label_names,
            tags=list(checkpoint.tags) if m.task == "token-classification" else None,
            max_tokens=m.max_tokens,
            max_characters=m.max_characters,
            license=m.license,
            training_data=m.training_data,
            tensors=list(network.encoder.tensors),
            streamable=m.directions == ("forward",),
            analyses=list(ANALYSES),
            weights_sha256=checkpoint.weights_sha256,
            precision=predictor.runner.precision,
            metrics=m.metrics,
            temperature=m.temperature,
            default_attribution=default_method(predictor),
            default=m.name == self.registry.default,
        )


def state_of(request: Request) -> State:
    state: State = request.scope["app"].service
    return state


def terms_of(request: Request, longest_ms: int) -> Terms:
    """Until when this request's answer is of use; longest_ms: the server's own deadline. For after its body is read.

    Raises: InvalidRequest, for an x-deadline-ms that is no whole number or longer than `longest_ms`.
    """
    exchange = exchange_of(request.scope)

    async def departure() -> bool:
        message = await request.receive()
        return bool(message["type"] == "http.disconnect")

    arrived = asyncio.get_running_loop().time() - (time.perf_counter() - exchange.began)
    return Terms(_deadline_ms(exchange, longest_ms), arrived, departure)


def _deadline_ms(exchange: Exchange, longest: int) -> int:
    value = exchange.headers.get(b"x-deadline-ms")
    if value is None:
        return longest
    if not (value.isdigit() and len(value) < 10 and 1 <= int(value) <= longest):
        raise InvalidRequest(
            f"x-deadline-ms is {value[:20].decode('latin-1')!r}: "
            f"a whole number from 1 to {longest} (GATESCOPE_DEADLINE_MS) is allowed"
        )
    return int(value)
