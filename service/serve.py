"""Start the server: settings -> app -> uvicorn; and stop it without losing a request."""

import asyncio
import logging
from types import FrameType

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError

from .errors import StartupError
from .settings import Settings
from .telemetry import set_up_logging

log = logging.getLogger(__name__)


def serve() -> int:
    """Run until SIGTERM or SIGINT, drain, and return the exit status: 0 when every request was answered.

    Raises: StartupError, one sentence about a setting or a device that is not there.
    """
    settings = read_settings()
    set_up_logging(settings.log_level, settings.log_format)
    from .app import create_app  # after the settings are known to be right: it imports torch, which takes seconds

    app = create_app(settings)
    log.info("starting on http://%s:%d, documented at /docs", settings.host, settings.port)
    server = DrainingServer(app, settings)
    server.run()
    return 0 if server.started else 1


class DrainingServer(uvicorn.Server):
    """On a signal readiness goes off first, so that nobody sends more; a little later the port closes; then what is
    running and queued is answered. A second signal ends it at once.
    """

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        grace_s = -(-settings.deadline_ms // 1000)
        super().__init__(
            uvicorn.Config(
                app, settings.host, settings.port, log_config=None, access_log=False, server_header=False,
                proxy_headers=False, timeout_graceful_shutdown=grace_s,
            )
        )  # fmt: skip
        self.app, self.drain_s = app, settings.drain_ms / 1000

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        state = getattr(self.app.state, "service", None)
        if state is None or state.leaving.is_set():
            self.should_exit = self.force_exit = True
            return
        log.info("told to stop: readiness is off, the port closes in %.1f s", self.drain_s)
        state.leaving.set()
        asyncio.get_running_loop().call_later(self.drain_s, self._close)

    def _close(self) -> None:
        self.should_exit = True


def read_settings() -> Settings:
    """Raises: StartupError, naming the variable, what was found and what is allowed."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = f"GATESCOPE_{str(first['loc'][0]).upper()}"
        raise StartupError(f"{name} is {first['input']!r}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None
