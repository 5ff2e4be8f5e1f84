"""create_app(settings): assembly and lifespan, nothing else. Importing this module has no side effect."""

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator

import torch

from .engine.engine import Engine
from .figures.exposition import PUBLISH_S, Exposition, resident_bytes
from .figures.figures import Figures
from .layers.chain import App, chain
from .leaving import delayed_shutdown
from .registry.board import Board
from .registry.control import Control
from .registry.registry import Registry
from .registry.startup import check_kernel, check_weights, choose_device
from .routes import (
    analyses,
    docs,
    documented,
    health,
    huggingface,
    native,
    open_inference,
    page,
    pictures,
    repository,
    streaming,
)
from .sealing import sealer
from .settings import Settings
from .state import State
from .version import VERSION
from .wire import problems

log = logging.getLogger(__name__)
_YOUNG = 10_000  # objects between two looks for cycles: at 700, Python's own, requests in flight cost a twentieth
_DESCRIPTION = "Trained RNN and LSTM text models over HTTP: the prediction and, when asked, every state and gate."


def create_app(settings: Settings | None = None, board: Board | None = None) -> App:
    """The app; models load in the background after start, and /health/ready turns 200 once they are loaded.

    board: of a worker process, what it follows along with the others.
    Raises: StartupError where there is no model, or the requested device or kernel is not available.
    """
    settings = settings or Settings()
    check_weights(settings)
    device = choose_device(settings.device)
    check_kernel(settings, device)
    figures = Figures()

    @contextlib.asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[None]:
        torch.set_num_threads(settings.threads)
        registry = Registry(settings, device)
        control = Control(registry, board)
        following = control.following() if settings.model_control == "explicit" else contextlib.nullcontext()
        engine = Engine(
            settings.max_queue_tokens,
            settings.deadline_ms,
            settings.max_batch_tokens,
            settings.max_queue_requests,
            figures,
        )
        metrics = Exposition(figures, settings.metrics_dir)
        figures.gauge("queue_tokens", "tokens that wait or run", lambda: engine.waiting_tokens)
        figures.gauge("models_loaded", "models, in every worker", lambda: len(registry.names))
        figures.gauge(
            "models_broken", "folders that could not be loaded, in every worker", lambda: len(registry.broken)
        )
        figures.gauge("resident_memory_bytes", "memory of the processes", resident_bytes)
        state = app.service = State(
            settings, registry, control, engine, device, asyncio.Event(), metrics, asyncio.Lock(), sealer(settings)
        )
        figures.gauge("streams_open", "WebSockets; each holds its model until it ends", lambda: len(state.streams))
        tasks = [asyncio.create_task(_load(state)), asyncio.create_task(_publish(metrics))]
        async with following:
            with delayed_shutdown(state.leaving, settings.drain_ms / 1000):
                yield
        for task in tasks:
            task.cancel()
        control.close()
        await state.engine.drain()
        state.engine.close()
        metrics.publish()

    app = App(
        chain(settings, figures),
        figures,
        title="gatescope",
        version=VERSION,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    for routes in (native, analyses, streaming, pictures, huggingface, open_inference, repository, health, docs, page):
        app.include_router(routes.router)
    problems.install(app)
    documented.install(app)
    return app


async def _load(state: State) -> None:
    """Load off the event loop, so that the probes answer meanwhile; then freeze: the garbage collector skips models."""
    await state.control.load_all()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)
    log.info("ready: %d models on %s, %d broken", len(state.registry.names), state.device, len(state.registry.broken))


async def _publish(metrics: Exposition) -> None:
    """Where other workers answer on the same port, let them know of this one."""
    while metrics.folder:
        await asyncio.to_thread(metrics.publish)
        await asyncio.sleep(PUBLISH_S)
