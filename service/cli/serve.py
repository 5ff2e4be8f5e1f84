"""Start the server: settings -> app -> uvicorn, in this process or in several."""

import logging
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from ..errors import StartupError
from ..layers.connection import Config
from ..registry.board import Board
from ..sealing import random_key
from ..settings import PREFIX, Settings, read_settings, unknown_variables
from ..telemetry import set_up_logging

log = logging.getLogger(__name__)
_BOARD = "_GATESCOPE_BOARD"  # the folder that the workers share: no setting, but a word from parent to child
_METRICS_DIR = f"{PREFIX}METRICS_DIR"


def serve() -> int:
    """Run until SIGTERM or SIGINT, drain, and return the exit status: 0 when every request was answered.

    Raises: StartupError, one sentence about a wrong setting, a missing device or a port that is taken.
    """
    settings = read_settings()
    set_up_logging(settings.log_level, settings.log_format)
    check_address(settings.host, settings.port)
    for sentence in unknown_variables(os.environ):
        log.warning(sentence)
    log.info("starting on http://%s:%d, documented at /docs", settings.host, settings.port)
    return _serve_in_one_process(settings) if settings.workers == 1 else _serve_in_workers(settings)


def check_address(host: str, port: int) -> None:
    """Raises: StartupError where the address cannot be listened on, before models are loaded for nothing."""
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StartupError(
            f"GATESCOPE_HOST {host!r} and GATESCOPE_PORT {port} cannot be listened on ({reason}): choose another port"
        ) from None


def _serve_in_one_process(settings: Settings) -> int:
    server = uvicorn.Server(_config(_app(settings), settings))
    for sig in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises the signal again after draining
        signal.signal(sig, signal.SIG_IGN)
    server.run()
    return 0 if server.started else 1


def _serve_in_workers(settings: Settings) -> int:
    """A supervisor that holds the port and restarts its workers; each worker is a complete server on that port."""
    if not settings.state_keys:
        log.warning(
            "GATESCOPE_STATE_KEY is not set: state tokens of step are sealed with a random key, one for all workers: "
            "they are good on this server alone and until it stops"
        )
        os.environ["GATESCOPE_STATE_KEY"] = random_key()  # which the workers read
    config = _config("service.cli.serve:app_of_worker", settings)
    with tempfile.TemporaryDirectory(prefix="gatescope-") as folder:
        board, metrics = Path(folder, "board"), Path(folder, "metrics")
        for shared in (board, metrics):
            shared.mkdir()
        os.environ[_BOARD] = str(board)  # which the workers read
        os.environ.setdefault(_METRICS_DIR, str(metrics))
        supervisor = Supervisor(config, [config.bind_socket()], Board(board))
        supervisor.run()
    return int(any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes))


class Supervisor(Multiprocess):
    """uvicorn's, but for SIGHUP, which has the workers read the weights folder anew, and SIGTERM, which loses none."""

    def __init__(self, config: Config, sockets: list[socket.socket], board: Board) -> None:
        super().__init__(config, sockets)
        self.settings, self.board = config.settings, board

    def terminate_all(self) -> None:
        """The port closes with the last process that holds it: this one accepts nothing and lets go of it at once."""
        for listening in self.sockets:
            listening.close()
        super().terminate_all()

    def handle_hup(self) -> None:
        if self.settings.model_control == "explicit":
            log.info("SIGHUP: the weights folder is read anew by every worker")
            self.board.ask()
        else:
            super().handle_hup()


def _app(settings: Settings, board: Board | None = None) -> ASGIApp:
    """Raises: StartupError."""
    from ..app import create_app  # after the settings are validated: it imports torch, which takes seconds

    return create_app(settings, board)


def app_of_worker() -> ASGIApp:
    """The app of a worker process, which reads the settings and sets up logging itself."""
    settings = read_settings()
    set_up_logging(settings.log_level, settings.log_format)
    try:
        return _app(settings, Board(Path(os.environ[_BOARD])))
    except StartupError as error:
        print(f"gatescope: {error}", file=sys.stderr)
        raise SystemExit(STARTUP_FAILURE) from None  # so that the supervisor does not restart it


def _config(app: ASGIApp | str, settings: Settings) -> Config:
    return Config(
        app,
        settings,
        factory=isinstance(app, str),
        workers=settings.workers,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=-(-settings.deadline_ms // 1000),
    )
