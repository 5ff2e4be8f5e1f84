"""Start the server: settings -> app -> uvicorn."""

import logging

import uvicorn
from pydantic import ValidationError

from .errors import StartupError
from .settings import Settings
from .telemetry import set_up_logging

log = logging.getLogger(__name__)


def serve() -> int:
    """Run until SIGTERM or SIGINT; returns the exit status.

    Raises: StartupError, one sentence about a setting or a device that is not there.
    """
    settings = read_settings()
    set_up_logging(settings.log_level, settings.log_format)
    from .app import create_app  # after the settings are known to be right: it imports torch, which takes seconds

    app = create_app(settings)
    config = uvicorn.Config(app, settings.host, settings.port, log_config=None, access_log=False, server_header=False,
                            timeout_graceful_shutdown=max(1, settings.deadline_ms // 1000))  # fmt: skip
    log.info("starting on http://%s:%d, documented at /docs", settings.host, settings.port)
    uvicorn.Server(config).run()
    return 0


def read_settings() -> Settings:
    """Raises: StartupError, naming the variable, what was found and what is allowed."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = f"GATESCOPE_{str(first['loc'][0]).upper()}"
        raise StartupError(f"{name} is {first['input']!r}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None
