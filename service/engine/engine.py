"""submit(): admission, deadline and execution of requests, one batch at a time. Knows neither HTTP nor torch.

The cost of a request is the number of tokens that the model has to read for it. The queue is bounded
(`service.engine.admission`). A request larger than one batch runs in parts, so that a short one behind it waits for one
batch at most. What nobody waits for any more, after a deadline or a disconnect, is dropped before it runs.

No request is delayed to fill a batch: when the model is idle the next batch (`service.engine.batcher`) starts at the
end of the event loop's turn. A batch that is predicted to take under `TICK_S` runs on the event loop itself, because a
thread switch would cost more; every other batch runs on the model thread, and the loop never blocks.
"""

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from ..errors import ClientLeft, DeadlineExceeded
from .admission import Admission
from .batcher import Job, Queue
from .pace import Pace, Paces
from .terms import Departure, Terms

T = TypeVar("T")
Item = TypeVar("Item")
TICK_S = 0.002
WATCH_S = 0.02  # a request that is unanswered for so long is watched for its client's departure


@dataclass(frozen=True)
class Done(Generic[T]):
    """A job's value, and its time in the queue and in the model."""

    value: T
    queue_ms: float
    compute_ms: float


@dataclass(eq=False)
class _Request:
    """An admitted request: its part that waits or runs, and why it ends early."""

    job: Job | None = None
    failure: BaseException | None = None

    def fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
        if self.job and self.job.wanted:
            self.job.answer.set_exception(self.failure)


@dataclass(frozen=True)
class _Work:
    """What a request asks for. costs: tokens of each item; jobs of one group may share one `run`."""

    items: Sequence[Any]
    costs: Sequence[int]
    run: Callable[[list[Any]], Sequence[Any]]
    pace: Hashable | None = None
    group: Hashable | None = None


class Engine:
    """Runs one batch at a time. Every method is called from one event loop."""

    def __init__(
        self, max_queue_tokens: int, deadline_ms: int, batch_tokens: int = 16384, max_queue_requests: int = 4096
    ) -> None:
        """batch_tokens: the largest batch; a single item that is larger still runs, alone."""
        self.deadline_ms, self.batch_tokens = deadline_ms, batch_tokens
        self.admission = Admission(max_queue_tokens, max_queue_requests, self._drain_s)
        self._queue = Queue()
        self._paces = Paces()
        self._is_running = self._turn_is_due = False
        self._thread = ThreadPoolExecutor(1, "model")
        self._idle = asyncio.Event()
        self._idle.set()
        self._overall = Pace()

    @property
    def waiting_tokens(self) -> int:
        """Tokens of the requests that wait or run."""
        return self.admission.tokens

    def _drain_s(self, tokens: int) -> float:
        return self._overall.seconds(tokens)

    async def submit(self, tokens: int, work: Callable[[], T], terms: Terms | None = None) -> Done[T]:
        """Run `work` on the model thread, alone.

        Args:   tokens, the cost of the work; terms, by default the engine's deadline from now on.
        Raises: Overloaded, BatchTooLarge (more than the queue could ever hold), DeadlineExceeded, ClientLeft, NotReady
                (draining), or what `work` raises.
        """
        done = await self._run(_Work([None], [tokens], lambda _: [work()]), terms)
        return Done(done.value[0], done.queue_ms, done.compute_ms)

    async def submit_items(
        self,
        items: Sequence[Item],
        costs: Sequence[int],
        run: Callable[[list[Item]], Sequence[T]],
        pace: Hashable,
        shared: bool,
        terms: Terms | None = None,
    ) -> Done[list[T]]:
        """Run items, batched with other requests of the same pace where `shared`; short batches run on the event loop.

        A request larger than a batch runs in parts of similar length, and between two of them others have their turn.

        Args:   costs, the tokens of each item; run, takes any number of items and is the same function for every
                request of one pace.
        Raises: as `submit`. What `run` raises reaches only the request whose items raise it.
        """
        return await self._run(_Work(items, costs, run, pace, pace if shared else None), terms)

    async def drain(self) -> None:
        """Admit no new request, and wait until all admitted ones are finished."""
        self.admission.is_closed = True
        await self._idle.wait()

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _run(self, work: _Work, terms: Terms | None) -> Done[list[Any]]:
        terms = terms or Terms.from_now(self.deadline_ms)
        self.admission.enter(sum(work.costs))
        self._idle.clear()
        loop, request = asyncio.get_running_loop(), _Request()
        timers = [loop.call_at(terms.ends, request.fail, DeadlineExceeded(terms.deadline_ms))]
        watching: list[asyncio.Task[None]] = []
        if terms.departure:
            watch = partial(_watch, loop, request, terms.departure, watching)
            timers.append(loop.call_later(WATCH_S, watch))
        try:
            return await self._run_parts(work, request, loop)
        finally:
            for timer in timers:
                timer.cancel()
            for task in watching:
                task.cancel()
            self.admission.leave()
            self._is_idle()

    async def _run_parts(self, work: _Work, request: _Request, loop: asyncio.AbstractEventLoop) -> Done[list[Any]]:
        """One part after the other: each is queued when the last one is done, behind what came meanwhile."""
        began, compute_s, values = time.perf_counter(), 0.0, [None] * len(work.items)
        parts = _parts(work.costs, self.batch_tokens)
        left = sum(work.costs)
        try:
            for part in parts:
                if request.failure:
                    raise request.failure
                costs = [work.costs[i] for i in part]
                job = Job(
                    [work.items[i] for i in part],
                    sum(costs),
                    max(costs, default=0),
                    work.run,
                    work.pace,
                    work.group,
                    time.perf_counter(),
                    loop.create_future(),
                )
                request.job = job
                left -= job.tokens
                for i, value in zip(part, await self._answer(job, loop), strict=True):
                    values[i] = value
                compute_s += job.ended - job.began
        finally:
            self.admission.leave_part(left)
        return Done(values, (time.perf_counter() - began - compute_s) * 1000, compute_s * 1000)

    async def _answer(self, job: Job, loop: asyncio.AbstractEventLoop) -> list[Any]:
        self._queue.put(job)
        self._schedule_turn(loop)
        try:
            return await job.answer
        finally:
            if not job.taken:  # it will never run
                self._queue.drop(job)
                self._release([job])

    def _is_idle(self) -> None:
        if not self.admission.requests and not self.admission.tokens:
            self._idle.set()

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
        short_tokens = self._paces.of(first.pace).tokens_within(TICK_S) if first.pace is not None else 0
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
            self._paces.of(batch[0].pace).measured(tokens, seconds)
        self._overall.measured(tokens, seconds)
        self._release(batch)
        self._schedule_turn(loop)

    def _release(self, jobs: Sequence[Job]) -> None:
        self.admission.leave_part(sum(job.tokens for job in jobs))
        self._is_idle()


def _parts(costs: Sequence[int], budget: int) -> list[list[int]]:
    """Indices of the items, in parts of at most `budget` tokens (or one item), those of similar length together."""
    if sum(costs) <= budget:
        return [list(range(len(costs)))]
    parts: list[list[int]] = []
    room = 0
    for i in sorted(range(len(costs)), key=costs.__getitem__):
        if not parts or costs[i] > room:
            parts.append([])
            room = budget
        parts[-1].append(i)
        room -= costs[i]
    return parts


def _watch(
    loop: asyncio.AbstractEventLoop, request: _Request, departure: Departure, watching: "list[asyncio.Task[None]]"
) -> None:
    """From now on the request fails when its client leaves. Begins late: most requests are answered before."""

    async def watch() -> None:
        if await departure():
            request.fail(ClientLeft())

    watching.append(loop.create_task(watch()))


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
