"""Leaving without losing a request, whoever runs the app.

On SIGTERM or SIGINT readiness goes off first, so that nobody sends more; a little later the runner's own handler is
told, which closes the port and answers what is running and queued. A second signal ends it at once.
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
def leaving_late(leaving: asyncio.Event, delay_s: float) -> Iterator[None]:
    """Until the block ends, stand before the handlers of the process that runs this event loop.

    Does nothing off the main thread, where there are no signals, nor where no runner has set handlers.
    """
    loop = asyncio.get_running_loop()
    on_main = threading.current_thread() is threading.main_thread()
    runners = {sig: signal.getsignal(sig) for sig in (signal.SIGTERM, signal.SIGINT)} if on_main else {}

    def tell_the_runner(sig: int) -> None:
        runner = runners[signal.Signals(sig)]
        if callable(runner):
            runner(sig, None)

    def received(sig: int, frame: FrameType | None) -> None:
        if leaving.is_set():
            for _ in range(2):  # uvicorn waits for nothing more after a second SIGINT
                tell_the_runner(signal.SIGINT)
            return
        log.info("told to stop: readiness is off, the port closes in %.1f s", delay_s)
        leaving.set()
        loop.call_soon_threadsafe(loop.call_later, delay_s, tell_the_runner, sig)

    ours = [sig for sig, runner in runners.items() if callable(runner)]
    for sig in ours:
        signal.signal(sig, received)
    try:
        yield
    finally:
        for sig in ours:
            signal.signal(sig, runners[sig])
