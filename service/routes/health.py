"""Liveness, readiness and version. These routes never touch a model."""

import platform

import torch
from fastapi import APIRouter, Request, Response

from ..state import state_of
from ..version import VERSION
from ..wire import schemas
from ..wire.rendering import dumps

router = APIRouter(tags=["operations"])


@router.get("/health", summary="Alive")
@router.get("/health/live", summary="Alive")
async def live() -> schemas.Liveness:
    """Answers as long as the process does: for a liveness probe."""
    return schemas.Liveness(live=True)


@router.get(
    "/health/ready",
    response_model=schemas.Readiness,
    summary="Ready to answer",
    responses={503: {"model": schemas.Readiness, "description": "loading, draining, or none could be loaded"}},
)
async def ready(request: Request) -> Response:
    """200 once the models are loaded, also beside broken ones; 503 before, and after SIGTERM: for a readiness probe."""
    state = state_of(request)
    body = schemas.Readiness(ready=state.ready, models=state.registry.names, broken=state.broken)
    headers = None if state.ready else {"retry-after": "1"}
    return Response(dumps(body.model_dump()), 200 if state.ready else 503, headers, "application/json")


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus's text format"}},
)
async def metrics(request: Request) -> Response:
    """Histograms of times and batches, counters by reason, gauges of queue, models and memory; of all workers together.

    No label holds a text, a name or a number from outside.
    """
    accept = request.headers.get("accept", "*/*")
    content, content_type = state_of(request).metrics.write(accept)
    return Response(content, headers={"content-type": content_type})


@router.get("/info", summary="Version, device, models and limits")
async def info(request: Request) -> schemas.Info:
    """What runs, on which device, and the limits of a request."""
    state = state_of(request)
    return schemas.Info.model_validate(
        {
            "name": "gatescope",
            "version": VERSION,
            "device": str(state.device),
            "threads": state.settings.threads,
            "workers": state.settings.workers,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "models": state.registry.names,
            "default_model": state.registry.default,
            "limits": {
                k: v for k, v in state.settings.model_dump().items() if k.startswith("max_") or k == "deadline_ms"
            },
        }
    )
