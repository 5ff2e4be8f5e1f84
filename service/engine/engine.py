"""submit(): admission, deadline and execution of requests, one batch at a time. Knows neither HTTP nor torch.

The cost of a request is the number of tokens that the model has to read for it. The queue is bounded; beyond the bound
a request is refused at once, with the predicted time until the queue has drained.

No request is delayed to fill a batch: when the model is idle the next batch (`service.engine.batcher`) starts at the
end of the event loop's turn. A batch that is predicted to take under `TICK_S` runs on the event loop itself, because a
thread switch would cost more; every other batch runs on the model thread, and the loop never blocks.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..errors import BatchTooLarge, DeadlineExceeded, NotReady, Overloaded
from .batcher import Job, Queue
from .pace import Pace

T = TypeVar("T")
Item = TypeVar("Item")
TICK_S = 0.002


@dataclass(frozen=True)
class Done(Generic[T]):
    """A job's value, and its time in the queue and in the model."""

    value: T
    queue_ms: float
    compute_ms: float


class Engine:
    """Runs one batch at a time. Every method is called from one event loop."""

    def __init__(self, max_queue_tokens: int, deadline_ms: int, batch_tokens: int = 16384) -> None:
        """batch_tokens: the largest batch; a single request that is larger still runs, alone."""
        self.max_queue_tokens, self.deadline_ms, self.batch_tokens = max_queue_tokens, deadline_ms, batch_tokens
        self.waiting_tokens = 0
        self.draining = False
        self._jobs = 0  # admitted and not yet finished
        self._queue = Queue()
        self._paces: dict[Hashable, Pace] = defaultdict(Pace)
        self._is_running = self._turn_is_due = False
        self._thread = ThreadPoolExecutor(1, "model")
        self._idle = asyncio.Event()
        self._idle.set()
        self._overall = Pace()

    @property
    def drain_s(self) -> float:
        """Predicted time until the queue is empty."""
        return self._overall.seconds(self.waiting_tokens)

    async def submit(self, tokens: int, work: Callable[[], T]) -> Done[T]:
        """Run `work` on the model thread, alone.

        Args:   tokens, the cost of the work.
        Raises: Overloaded, BatchTooLarge (more than the queue could ever hold), DeadlineExceeded, NotReady
                (draining), or what `work` raises.
        """
        done = await self._run(tokens, [None], tokens, lambda _: [work()], None, None)
        return Done(done.value[0], done.queue_ms, done.compute_ms)

    async def submit_items(
        self,
        tokens: int,
        items: Sequence[Item],
        longest: int,
        run: Callable[[list[Item]], Sequence[T]],
        pace: Hashable,
        shared: bool,
    ) -> Done[list[T]]:
        """Run items, batched with other requests of the same pace where `shared`; short batches run on the event loop.

        Args:   longest, the length of the longest item, in tokens; run, takes any number of items and is the same
                function for every request of one pace.
        Raises: as `submit`. What `run` raises reaches only the request whose items raise it.
        """
        return await self._run(tokens, items, longest, run, pace, pace if shared else None)

    async def drain(self) -> None:
        """Admit no new request, and wait until all admitted ones are finished."""
        self.draining = True
        await self._idle.wait()

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _run(
        self,
        tokens: int,
        items: Sequence[Any],
        longest: int,
        run: Callable[[list[Any]], Sequence[Any]],
        pace: Hashable,
        group: Hashable | None,
    ) -> Done[list[Any]]:
        self._admit(tokens)
        loop = asyncio.get_running_loop()
        job = Job(items, tokens, longest, run, pace, group, time.perf_counter(), loop.create_future())
        self.waiting_tokens += tokens
        self._jobs += 1
        self._idle.clear()
        self._queue.put(job)
        self._schedule_turn(loop)
        deadline = loop.call_later(self.deadline_ms / 1000, self._expire, job)
        try:
            value = await job.answer
        finally:
            deadline.cancel()
            if not job.taken:  # it will never run
                self._queue.drop(job)
                self._release([job])
        return Done(value, (job.began - job.submitted) * 1000, (job.ended - job.began) * 1000)

    def _admit(self, tokens: int) -> None:
        if self.draining:
            raise NotReady("shutting down")
        if tokens > self.max_queue_tokens:
            raise BatchTooLarge(tokens, self.max_queue_tokens, "tokens to read")
        if self.waiting_tokens + tokens > self.max_queue_tokens:
            raise Overloaded(self.waiting_tokens, self.max_queue_tokens, max(self.drain_s, 0.001))

    def _expire(self, job: Job) -> None:
        if job.wanted:
            job.answer.set_exception(DeadlineExceeded(self.deadline_ms))

    def _schedule_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Schedule `_turn` once for all requests that arrive in one turn of the loop."""
        if not self._turn_is_due and not self._is_running:
            self._turn_is_due = True
            loop.call_soon(self._turn, loop)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the next batch: a short one now, a longer one on the model thread."""
        self._turn_is_due = False
        first = self._queue.first()
        if first is None:
            return
        now = time.perf_counter()
        short_tokens = self._paces[first.pace].tokens_within(TICK_S) if first.pace is not None else 0
        is_short = first.tokens <= short_tokens
        batch = self._queue.take(short_tokens if is_short else self.batch_tokens, now)
        self._is_running = True
        if is_short:
            self._on_done(loop, batch, _outcomes(batch))
        else:
            self._thread.submit(_outcomes, batch).add_done_callback(_on_loop(loop, self._on_done, batch))

    def _on_done(self, loop: asyncio.AbstractEventLoop, batch: list[Job], outcomes: list["Outcome"]) -> None:
        self._is_running = False
        for job, outcome in zip(batch, outcomes, strict=True):
            if job.wanted:
                _resolve(job, outcome)
        tokens, seconds = sum(job.tokens for job in batch), batch[0].ended - batch[0].began
        if batch[0].pace is not None:
            self._paces[batch[0].pace].measured(tokens, seconds)
        self._overall.measured(tokens, seconds)
        self._release(batch)
        self._schedule_turn(loop)

    def _release(self, jobs: Sequence[Job]) -> None:
        self.waiting_tokens -= sum(job.tokens for job in jobs)
        self._jobs -= len(jobs)
        if not self._jobs:
            self._idle.set()


Outcome = list[Any] | BaseException


def _outcomes(batch: list[Job]) -> list[Outcome]:
    """Each job's values, or the error that its own items raise: after an error in a batch every job is run alone."""
    began = time.perf_counter()
    for job in batch:
        job.began = job.ended = began
    try:
        values = iter(batch[0].run([item for job in batch for item in job.items]))
        return [[next(values) for _ in job.items] for job in batch]
    except Exception as error:
        return [error] if len(batch) == 1 else [outcome for job in batch for outcome in _outcomes([job])]
    finally:
        ended = time.perf_counter()
        for job in batch:
            job.began, job.ended = began, ended


def _resolve(job: Job, outcome: Outcome) -> None:
    if isinstance(outcome, BaseException):
        job.answer.set_exception(outcome)
    else:
        job.answer.set_result(outcome)


def _on_loop(
    loop: asyncio.AbstractEventLoop, call: Callable[..., None], batch: list[Job]
) -> Callable[["Future[list[Outcome]]"], None]:
    def done(future: "Future[list[Outcome]]") -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(call, loop, batch, future.result())

    return done
