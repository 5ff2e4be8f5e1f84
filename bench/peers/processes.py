"""Starts a server on a core of its own, waits until it answers, and stops it with all of its children. Linux only.

Children inherit a mark in the environment, so that those that left the server's process group (as Ray's do) are found.
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
    mark: str

    def cpu_s(self) -> float:
        """Processor time that its processes have used so far, all together."""
        ticks = os.sysconf("SC_CLK_TCK")
        return sum(_cpu_ticks(Path(f"/proc/{pid}/stat")) for pid in _marked(self.mark)) / ticks


def cores() -> int:
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def running(contender: Contender, pinned: bool = True) -> Iterator[Running]:
    """The server, answering, on core 0 where there are two; stopped at the end, and on an error or Ctrl-C.

    pinned False: on every core.

    Raises: ServerFailed, InstallFailed.
    """
    port, mark = _free_port(), uuid.uuid4().hex
    command = contender.command(port)
    print(f"{contender.name}: starting", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as scratch:
        variables = {_MARK: mark, "TMPDIR": scratch, "RAY_TMPDIR": scratch, "PYTHONDONTWRITEBYTECODE": "1"}
        contender.log.parent.mkdir(parents=True, exist_ok=True)
        with contender.log.open("w") as log:
            process = subprocess.Popen(  # noqa: S603  # a command of bench.peers.table
                [*(_pinned() if pinned else []), *command],
                env=os.environ | contender.variables(port) | variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                _wait(process, contender, port)
                yield Running(contender, port, process.pid, mark)
            finally:
                _stop(process, mark)


def _pinned() -> list[str]:
    """`taskset` becomes the server, so that its process id is the server's."""
    return ["taskset", "-c", str(SERVER_CORE)] if cores() > 1 else []


def _free_port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])


def _wait(process: "subprocess.Popen[bytes]", contender: Contender, port: int) -> None:
    """Waits until the readiness request, or one text, is answered with 200."""
    deadline = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), Connection(HOST, port) as connection:
            if connection.ask(contender.readiness(port))[0] == 200:
                return
        time.sleep(0.1)
    outcome = "ended" if process.poll() is not None else f"did not answer within {_START_S:.0f} s"
    raise ServerFailed(f"{contender.name} {outcome}: read {contender.log}")


def _stop(process: "subprocess.Popen[bytes]", mark: str) -> None:
    """Asks the server to stop, so that it can clean up; then kills what is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    deadline = time.monotonic() + _STOP_S
    while (left := _marked(mark)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.poll()  # reaps it, so that it does not stay a zombie
        time.sleep(0.05)


def _marked(mark: str) -> list[int]:
    variable = f"{_MARK}={mark}".encode()
    return [int(p.parent.name) for p in Path("/proc").glob("[0-9]*/environ") if variable in _read(p)]


def _read(environ: Path) -> list[bytes]:
    """The variables; empty for another user's process or one that has just ended."""
    try:
        return environ.read_bytes().split(b"\0")
    except OSError:
        return []


def _cpu_ticks(stat: Path) -> int:
    """In user and kernel mode; 0 for a process that has just ended. The name may hold spaces and ends with ")"."""
    try:
        fields = stat.read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])
