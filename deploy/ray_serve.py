"""gatescope on Ray Serve, a process with one model thread for each replica: docs/scaling.md says how to start it.

set -a; . deploy/ray_serve.env; set +a
serve run deploy.ray_serve:application min_replicas=2
"""

import asyncio

from pydantic import BaseModel, SecretStr
from ray import serve
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.app import create_app
from service.sealing import random_key
from service.settings import Settings, read_settings


class Scale(BaseModel, extra="forbid"):
    """Another replica is started when each has had so many requests for so long; a core runs one."""

    min_replicas: int = 1
    max_replicas: int = 8
    target_ongoing_requests: float = 32
    upscale_delay_s: float = 5
    downscale_delay_s: float = 120


def application(scale: Scale) -> serve.Application:
    """Settings are read here and travel to the replicas, with one state key for all. Raises: StartupError."""
    settings = read_settings()
    key = settings.state_key if settings.state_keys else SecretStr(random_key())
    shared = {"weights_dir": settings.weights_dir.absolute(), "state_key": key}
    return serve.deployment(
        serve.ingress(lambda: asgi_app(settings.model_copy(update=shared)))(),
        name="gatescope",
        # Ray's default of 5 starves the batcher; the service refuses before, with 429 and a time to wait
        max_ongoing_requests=settings.max_connections,
        max_queued_requests=settings.max_queue_requests,
        autoscaling_config=scale.model_dump(),
        ray_actor_options={"num_cpus": settings.threads},
        logging_config={"enable_access_log": settings.access_log},
    ).bind()


def asgi_app(settings: Settings) -> ASGIApp:
    """The service; its start ends when its models are loaded, so that no replica is asked before."""
    app = create_app(settings)

    async def app_on_ray(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_on_ray(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                while not app.service.registry.loaded:
                    await asyncio.sleep(0.05)
            elif message["type"] == "http.response.start":  # Ray writes x-request-id itself
                message = {**message, "headers": [h for h in message["headers"] if h[0] != b"x-request-id"]}
            await send(message)

        await app(scope, receive, send_on_ray)

    return app_on_ray
