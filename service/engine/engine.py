"""submit(): admission, deadline and the way to the model, one batch at a time. Knows neither HTTP nor torch.

A request is charged by the tokens that the model has to read for it. What waits is bounded; beyond the bound a request
is refused at once, with the time after which the queue is predicted to have drained.

Nothing waits for company: when the model is idle the next batch (`service.engine.batcher`) goes at the end of the
event loop's turn. One that is predicted to take under `TICK_S` runs there and then, for a thread would cost more than
it; all else runs on the model thread, and the loop never waits.
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
    """A job's value and where its time went."""

    value: T
    queue_ms: float
    compute_ms: float


class Engine:
    """One model at work at a time. Lives on one event loop, which alone calls it."""

    def __init__(self, max_queue_tokens: int, deadline_ms: int, batch_tokens: int = 16384) -> None:
        """batch_tokens: that run together at most; a larger request still runs, alone."""
        self.max_queue_tokens, self.deadline_ms, self.batch_tokens = max_queue_tokens, deadline_ms, batch_tokens
        self.waiting_tokens = 0
        self.draining = False
        self._jobs = 0  # taken from clients and not yet done
        self._queue = Queue()
        self._paces: dict[Hashable, Pace] = defaultdict(Pace)
        self._at_work = self._turn_is_due = False
        self._thread = ThreadPoolExecutor(1, "model")
        self._idle = asyncio.Event()
        self._idle.set()
        self._overall = Pace()

    @property
    def drain_s(self) -> float:
        """Predicted time until all that waits is done."""
        return self._overall.seconds(self.waiting_tokens)

    async def submit(self, tokens: int, work: Callable[[], T]) -> Done[T]:
        """Run `work` on the model thread, alone.

        Args:   tokens, what the work is charged with.
        Raises: Overloaded, BatchTooLarge (more than the queue could ever hold), DeadlineExceeded, NotReady
                (draining), or what `work` raises.
        """
        done = await self._run(tokens, [None], tokens, lambda _: [work()], None, None)
        return Done(done.value[0], done.queue_ms, done.compute_ms)

    async def submit_items(
        self, tokens: int, items: Sequence[Item], longest: int, run: Callable[[list[Item]], Sequence[T]],
        pace: Hashable, shared: bool,
    ) -> Done[list[T]]:  # fmt: skip
        """Run items, with those of other requests of the same pace where `shared`; short ones in the loop's own turn.

        Args:   longest, of the items, in tokens; run, of any number of items: the same function for each pace.
        Raises: as `submit`. What `run` raises reaches the request whose items raise it, and no other.
        """
        return await self._run(tokens, items, longest, run, pace, pace if shared else None)

    async def drain(self) -> None:
        """Take nothing new, and wait until all that was taken is done."""
        self.draining = True
        await self._idle.wait()

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _run(
        self, tokens: int, items: Sequence[Any], longest: int, run: Callable[[list[Any]], Sequence[Any]],
        pace: Hashable, group: Hashable | None,
    ) -> Done[list[Any]]:  # fmt: skip
        self._admit(tokens)
        loop = asyncio.get_running_loop()
        job = Job(items, tokens, longest, run, pace, group, time.perf_counter(), loop.create_future())
        self.waiting_tokens += tokens
        self._jobs += 1
        self._idle.clear()
        self._queue.put(job)
        self._call_turn(loop)
        late = loop.call_later(self.deadline_ms / 1000, self._expire, job)
        try:
            value = await job.answer
        finally:
            late.cancel()
            if not job.taken:  # it never ran and never will
                self._queue.drop(job)
                self._leave([job])
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

    def _call_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Once for all that arrives in one turn of the loop."""
        if not self._turn_is_due and not self._at_work:
            self._turn_is_due = True
            loop.call_soon(self._turn, loop)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run what waits: one batch in this turn, or a larger one on the thread."""
        self._turn_is_due = False
        first = self._queue.first()
        if first is None:
            return
        now = time.perf_counter()
        at_once = self._paces[first.pace].tokens_within(TICK_S) if first.pace is not None else 0
        is_short = first.tokens <= at_once
        batch = self._queue.take(at_once if is_short else self.batch_tokens, now)
        self._at_work = True
        if is_short:
            self._ended(loop, batch, _outcomes(batch))
        else:
            self._thread.submit(_outcomes, batch).add_done_callback(_on_loop(loop, self._ended, batch))

    def _ended(self, loop: asyncio.AbstractEventLoop, batch: list[Job], outcomes: list["Outcome"]) -> None:
        self._at_work = False
        for job, outcome in zip(batch, outcomes, strict=True):
            if job.wanted:
                _answer(job, outcome)
        tokens, seconds = sum(job.tokens for job in batch), batch[0].ended - batch[0].began
        if batch[0].pace is not None:
            self._paces[batch[0].pace].measured(tokens, seconds)
        self._overall.measured(tokens, seconds)
        self._leave(batch)
        self._call_turn(loop)

    def _leave(self, jobs: Sequence[Job]) -> None:
        self.waiting_tokens -= sum(job.tokens for job in jobs)
        self._jobs -= len(jobs)
        if not self._jobs:
            self._idle.set()


Outcome = list[Any] | BaseException


def _outcomes(batch: list[Job]) -> list[Outcome]:
    """Each job's values, or what its own items raise: after an error in company every job is tried alone."""
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


def _answer(job: Job, outcome: Outcome) -> None:
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
