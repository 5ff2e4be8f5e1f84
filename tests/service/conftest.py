"""A real server on a free port, in this process: tiny models, every route, real sockets."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from service.app import create_app
from service.layers.connection import Config
from service.settings import Settings

Serve = Callable[..., contextlib.AbstractContextManager[httpx.Client]]


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[httpx.Client]:
    """A client of a server with these settings, which stops at the end of the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = settings.model_copy(update={"host": "127.0.0.1", "port": port})
    server = uvicorn.Server(Config(create_app(settings), settings))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    limits = httpx.Limits(max_keepalive_connections=0)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, limits=limits, trust_env=False) as client:
            _until_loaded(client, settings)
            yield client
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server did not stop"


def _until_loaded(client: httpx.Client, settings: Settings) -> None:
    keys = settings.api_keys.get_secret_value() or settings.admin_keys.get_secret_value()
    headers = {"x-api-key": keys.split(",")[0]}
    waiting = threading.Event()
    for _ in range(600):
        with contextlib.suppress(httpx.TransportError):
            if (
                client.get("/v1/models/nobody", headers=headers).status_code != 503
            ):  # ready is also false where all are broken
                return
        waiting.wait(0.02)
    raise AssertionError("the server never became ready")


@pytest.fixture(scope="session")
def server(weights_dir: Path) -> Iterator[httpx.Client]:
    """The tiny models behind default settings."""
    with running(Settings(weights_dir=weights_dir, device="cpu")) as client:
        yield client


@pytest.fixture
def serve(weights_dir: Path) -> Serve:
    """``with serve(max_body_bytes=1000) as client``: a server of other settings."""

    def start(**changes: Any) -> contextlib.AbstractContextManager[httpx.Client]:
        return running(Settings(**{"weights_dir": weights_dir, "device": "cpu", **changes}))

    return start
