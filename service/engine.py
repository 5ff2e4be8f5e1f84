"""submit(): admission, deadline and the hand-off to the one model thread. Knows neither HTTP nor torch.

A request is charged by the tokens that the model has to read for it. What waits is bounded; beyond the bound a request
is refused at once, with the time after which the queue is predicted to have drained.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from .errors import BatchTooLarge, DeadlineExceeded, NotReady, Overloaded

T = TypeVar("T")
_FIRST_GUESS = 20_000.0  # tokens a second, until the first jobs have been measured
_SMOOTHING = 0.2


@dataclass(frozen=True)
class Done(Generic[T]):
    """A job's value and where its time went."""

    value: T
    queue_ms: float
    compute_ms: float


class Engine:
    """One model thread; jobs run in order of arrival."""

    def __init__(self, max_queue_tokens: int, deadline_ms: int) -> None:
        self.max_queue_tokens, self.deadline_ms = max_queue_tokens, deadline_ms
        self.waiting_tokens = 0
        self.draining = False
        self._jobs = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = ThreadPoolExecutor(1, "model")
        self._tokens_per_s = _FIRST_GUESS

    @property
    def drain_s(self) -> float:
        """Predicted time until all that waits is done."""
        return self.waiting_tokens / self._tokens_per_s

    async def submit(self, tokens: int, work: Callable[[], T]) -> Done[T]:
        """Run `work` on the model thread.

        Args:   tokens, what the work is charged with.
        Raises: Overloaded, BatchTooLarge (more than the queue could ever hold), DeadlineExceeded, NotReady
                (draining), or what `work` raises.
        """
        if self.draining:
            raise NotReady("shutting down")
        if tokens > self.max_queue_tokens:
            raise BatchTooLarge(tokens, self.max_queue_tokens, "tokens to read")
        if self.waiting_tokens + tokens > self.max_queue_tokens:
            raise Overloaded(self.waiting_tokens, self.max_queue_tokens, max(self.drain_s, 0.001))
        self._enter(tokens)
        job = _Job(work, time.perf_counter(), self.deadline_ms / 1000)
        future = self._thread.submit(job.run)
        future.add_done_callback(_on_loop(asyncio.get_running_loop(), lambda: self._leave(tokens, job)))
        try:
            value = await asyncio.wait_for(asyncio.wrap_future(future), self.deadline_ms / 1000)
        except TimeoutError as error:
            job.abandoned = True
            raise DeadlineExceeded(self.deadline_ms) from error
        except asyncio.CancelledError:  # the client left: what has not begun never will
            job.abandoned = True
            raise
        return Done(value, (job.began - job.submitted) * 1000, (job.ended - job.began) * 1000)

    async def drain(self) -> None:
        """Take nothing new, and wait until all that was taken is done."""
        self.draining = True
        await self._idle.wait()

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _enter(self, tokens: int) -> None:
        self.waiting_tokens += tokens
        self._jobs += 1
        self._idle.clear()

    def _leave(self, tokens: int, job: "_Job[T]") -> None:
        self.waiting_tokens -= tokens
        self._jobs -= 1
        if self._jobs == 0:
            self._idle.set()
        if job.ended > job.began > 0:
            measured = tokens / (job.ended - job.began)
            self._tokens_per_s += _SMOOTHING * (measured - self._tokens_per_s)


class _Job(Generic[T]):
    def __init__(self, work: Callable[[], T], submitted: float, deadline_s: float) -> None:
        self.work, self.submitted, self.deadline_s = work, submitted, deadline_s
        self.began = self.ended = 0.0
        self.abandoned = False

    def run(self) -> T:
        """On the model thread: nothing is computed for a client that has gone."""
        now = time.perf_counter()
        if self.abandoned or now - self.submitted > self.deadline_s:
            raise DeadlineExceeded(int(self.deadline_s * 1000))
        self.began = now
        try:
            return self.work()
        finally:
            self.ended = time.perf_counter()


def _on_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> Callable[[Future[T]], None]:
    def done(_: Future[T]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(call)

    return done
