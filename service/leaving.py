"""Graceful shutdown under any ASGI server.

On SIGTERM or SIGINT readiness goes off first, so that load balancers stop sending; after a delay the ASGI server's own
signal handler runs, which closes the port and finishes running and queued requests. A second signal ends it at once.
"""

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from types import FrameType

log = logging.getLogger(__name__)


@contextlib.contextmanager
def delayed_shutdown(leaving: asyncio.Event, delay_s: float) -> Iterator[None]:
    """Within the block, wrap the process's handlers of SIGTERM and SIGINT.

    Does nothing off the main thread, which receives no signals, nor where no handler is set.
    """
    loop = asyncio.get_running_loop()
    on_main = threading.current_thread() is threading.main_thread()
    runners = {sig: signal.getsignal(sig) for sig in (signal.SIGTERM, signal.SIGINT)} if on_main else {}

    def call_runner(sig: int) -> None:
        runner = runners[signal.Signals(sig)]
        if callable(runner):
            runner(sig, None)

    def on_signal(sig: int, frame: FrameType | None) -> None:
        if leaving.is_set():
            for _ in range(2):  # uvicorn waits for nothing more after a second SIGINT
                call_runner(signal.SIGINT)
            return
        leaving.set()
        loop.call_soon_threadsafe(begin, sig)

    def begin(sig: int) -> None:
        # on the loop: a signal handler may not log, for it may stand in the middle of another line
        log.info("stopping: readiness is off, the port closes in %.1f s", delay_s)
        loop.call_later(delay_s, call_runner, sig)

    wrapped = [sig for sig, runner in runners.items() if callable(runner)]
    for sig in wrapped:
        signal.signal(sig, on_signal)
    try:
        yield
    finally:
        for sig in wrapped:
            signal.signal(sig, runners[sig])
