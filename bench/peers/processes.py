"""Start a server on a core of its own, wait until it answers, and stop it with all that it started. Linux alone.

What a server starts inherits a mark in its environment, so children that left its process group (Ray's do) are found.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..load import Connection
from .table import HOST, Contender

SERVER_CORE, CLIENT_CORE = 0, 1
_MARK = "BENCH_MARK"
_START_S, _STOP_S = 120.0, 8.0


class ServerFailed(Exception):
    """A contender did not start, or did not answer; the message names its log."""


@dataclass(frozen=True)
class Running:
    contender: Contender
    port: int
    pid: int


def cores() -> int:
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def running(contender: Contender) -> Iterator[Running]:
    """The server, answering, on core 0 where there are two; stopped at the end, and on an error or Ctrl-C.

    Raises: ServerFailed, InstallFailed.
    """
    port, mark = _free_port(), uuid.uuid4().hex
    command = contender.command(port)
    print(f"{contender.name}: starting", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as scratch:
        own = {_MARK: mark, "TMPDIR": scratch, "RAY_TMPDIR": scratch, "PYTHONDONTWRITEBYTECODE": "1"}
        contender.log.parent.mkdir(parents=True, exist_ok=True)
        with contender.log.open("w") as log:
            process = subprocess.Popen(  # noqa: S603  # of this folder's table alone
                [*_pinned(), *command], env=os.environ | contender.variables(port) | own,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            try:
                _wait(process, contender, port)
                yield Running(contender, port, process.pid)
            finally:
                _stop(process, mark)


def _pinned() -> list[str]:
    """`taskset` becomes the server, so that its process id is the server's."""
    return ["taskset", "-c", str(SERVER_CORE)] if cores() > 1 else []


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


def _wait(process: "subprocess.Popen[bytes]", contender: Contender, port: int) -> None:
    """Until readiness, or one text, is answered with 200."""
    until = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), Connection(HOST, port) as connection:
            if connection.ask(contender.readiness(port))[0] == 200:
                return
        time.sleep(0.1)
    found = "ended" if process.poll() is not None else f"did not answer within {_START_S:.0f} s"
    raise ServerFailed(f"{contender.name} {found}: read {contender.log}")


def _stop(process: "subprocess.Popen[bytes]", mark: str) -> None:
    """Ask first, for a server tidies up; then end whatever is left by force."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    until = time.monotonic() + _STOP_S
    while (left := _marked(mark)) and time.monotonic() < until:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.poll()  # so that it is no zombie
        time.sleep(0.05)


def _marked(mark: str) -> list[int]:
    wanted = f"{_MARK}={mark}".encode()
    return [int(p.parent.name) for p in Path("/proc").glob("[0-9]*/environ") if wanted in _read(p)]


def _read(environ: Path) -> list[bytes]:
    """Another user's process, or one that has just ended, has nothing to tell."""
    try:
        return environ.read_bytes().split(b"\0")
    except OSError:
        return []
