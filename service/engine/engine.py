"""submit(): admission, deadline and execution of requests, one batch at a time. Knows neither HTTP nor torch.

The cost of a request is the number of tokens that the model has to read for it. The queue is bounded
(`service.engine.admission`). A request larger than one batch runs in parts, so that a short one behind it waits for one
batch at most. What nobody waits for any more, after a deadline or a disconnect, is dropped before it runs.

No request is delayed to fill a batch: when the model is idle the next batch (`service.engine.batcher`) starts at the
end of the event loop's turn. A batch that is predicted to take under `TICK_S` runs on the event loop itself, because a
thread switch would cost more; every other batch runs on the model thread, and the loop never blocks.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from ..errors import BatchTooLarge, ClientLeft, DeadlineExceeded, NotReady, Overloaded, ServiceError
from ..figures.figures import Figures
from .admission import Admission
from .batcher import Job, Queue
from .pace import Pace, Paces
from .terms import Departure, Terms

T = TypeVar("T")
Item = TypeVar("Item")
TICK_S = 0.002
_REASONS: dict[type[ServiceError], str] = {
    Overloaded: "queue_full",
    BatchTooLarge: "too_large",
    NotReady: "draining",
    DeadlineExceeded: "expired",
    ClientLeft: "departed",
}
WATCH_S = 0.1  # a request that is unanswered for so long is watched for its client's departure


@dataclass(slots=True)
class Done(Generic[T]):
    """A job's value, and its time in the queue and in the model."""

    value: T
    queue_ms: float
    compute_ms: float


@dataclass(slots=True)
class _Work:
    """What a request asks for. costs: tokens of each item; jobs of one group may share one `run`."""

    items: Sequence[Any]
    costs: Sequence[int]
    run: Callable[[list[Any]], Sequence[Any]]
    pace: Hashable | None = None
    group: Hashable | None = None

    def part(self, indices: Sequence[int]) -> "_Work":
        items, costs = [self.items[i] for i in indices], [self.costs[i] for i in indices]
        return _Work(items, costs, self.run, self.pace, self.group)


class _Request:
    """An admitted request: its part that waits or runs, and why it ends early: its deadline, its client's departure."""

    __slots__ = ("_loop", "_terms", "_timer", "_watching", "failure", "job")

    def __init__(self, loop: asyncio.AbstractEventLoop, terms: Terms) -> None:
        self._loop, self._terms = loop, terms
        self.job: Job | None = None
        self.failure: BaseException | None = None
        self._watching: asyncio.Task[None] | None = None
        left_s = terms.ends - loop.time()
        self._timer = (
            loop.call_later(WATCH_S, self._watch) if left_s > WATCH_S else loop.call_later(left_s, self._expire)
        )

    def close(self) -> None:
        self._timer.cancel()
        if self._watching:
            self._watching.cancel()

    def _watch(self) -> None:
        """From now on its client's departure is heard. Late, because most requests are answered before."""
        self._timer = self._loop.call_at(self._terms.ends, self._expire)
        if self._terms.departure:
            self._watching = self._loop.create_task(self._hear(self._terms.departure))

    async def _hear(self, departure: Departure) -> None:
        if await departure():
            self._fail(ClientLeft())

    def _expire(self) -> None:
        self._fail(DeadlineExceeded(self._terms.deadline_ms))

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
        if self.job and self.job.wanted:
            self.job.answer.set_exception(self.failure)


class Engine:
    """Runs one batch at a time. Every method is called from one event loop."""

    def __init__(
        self,
        max_queue_tokens: int,
        deadline_ms: int,
        batch_tokens: int = 16384,
        max_queue_requests: int = 4096,
        figures: Figures | None = None,
    ) -> None:
        """batch_tokens: the largest batch; a single item that is larger still runs, alone."""
        self.figures = figures or Figures()
        self.deadline_ms, self.batch_tokens = deadline_ms, batch_tokens
        self.admission = Admission(max_queue_tokens, max_queue_requests, self._drain_s)
        self._queue = Queue()
        self._paces = Paces()
        self._is_running = self._turn_is_due = False
        self._thread = ThreadPoolExecutor(1, "model")
        self._idle = asyncio.Event()  # set once, when it is closed and the last request has ended
        self._overall = Pace()

    @property
    def waiting_tokens(self) -> int:
        """Tokens of the requests that wait or run."""
        return self.admission.tokens

    def expect(self, tokens: int) -> None:
        """Refuse a request of about so many tokens before its texts are read, where the queue is full.

        Raises: Overloaded.
        """
        try:
            self.admission.expect(tokens)
        except Overloaded:
            self.figures.refused(_REASONS[Overloaded])
            raise

    @contextlib.contextmanager
    def reading(self, tokens: int) -> Iterator[None]:
        """Within the block texts of about so many tokens are read off the event loop: their room is not others'."""
        self.admission.being_read += tokens
        try:
            yield
        finally:
            self.admission.being_read -= tokens

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

    def submit_items(
        self,
        items: Sequence[Item],
        costs: Sequence[int],
        run: Callable[[list[Item]], Sequence[T]],
        pace: Hashable,
        shared: bool,
        terms: Terms | None = None,
    ) -> Awaitable[Done[list[T]]]:
        """Run items, batched with other requests of the same pace where `shared`; short batches run on the event loop.

        A request larger than a batch runs in parts of similar length, and between two of them others have their turn.

        Args:   costs, the tokens of each item; run, takes any number of items and is the same function for every
                request of one pace.
        Raises: as `submit`. What `run` raises reaches only the request whose items raise it.
        """
        return self._run(_Work(items, costs, run, pace, pace if shared else None), terms)

    async def drain(self) -> None:
        """Admit no new request, and wait until all admitted ones are finished."""
        self.admission.is_closed = True
        self._note_idle()
        await self._idle.wait()

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _run(self, work: _Work, terms: Terms | None) -> Done[list[Any]]:
        tokens = sum(work.costs)
        try:
            self.admission.enter(tokens)
        except ServiceError as error:
            self.figures.refused(_REASONS[type(error)])
            raise
        loop = asyncio.get_running_loop()
        request = _Request(loop, terms or Terms.from_now(self.deadline_ms))
        try:
            if tokens <= self.batch_tokens:
                return await self._run_part(work, tokens, request, loop)
            return await self._run_parts(work, tokens, request, loop)
        except (DeadlineExceeded, ClientLeft) as error:
            self.figures.dropped(_REASONS[type(error)])
            raise
        finally:
            request.close()
            self.admission.leave()
            self._note_idle()

    async def _run_parts(
        self, work: _Work, tokens: int, request: _Request, loop: asyncio.AbstractEventLoop
    ) -> Done[list[Any]]:
        """One part after the other: each is queued when the last one is done, behind what came meanwhile."""
        whole: Done[list[Any]] = Done([None] * len(work.items), 0.0, 0.0)
        left = tokens
        try:
            for indices in _parts(work.costs, self.batch_tokens):
                if request.failure:
                    raise request.failure
                part = work.part(indices)
                part_tokens = sum(part.costs)
                left -= part_tokens
                done = await self._run_part(part, part_tokens, request, loop)
                for i, value in zip(indices, done.value, strict=True):
                    whole.value[i] = value
                whole.queue_ms += done.queue_ms
                whole.compute_ms += done.compute_ms
        finally:
            self.admission.leave_part(left)
        return whole

    async def _run_part(
        self, part: _Work, tokens: int, request: _Request, loop: asyncio.AbstractEventLoop
    ) -> Done[list[Any]]:
        longest, submitted = max(part.costs, default=0), time.perf_counter()
        job = Job(part.items, tokens, longest, part.run, part.pace, part.group, submitted, loop.create_future())
        request.job = job
        self._queue.put(job)
        self._schedule_turn(loop)
        try:
            values = await job.answer
        finally:
            if not job.taken:  # it will never run
                self._queue.drop(job)
                self._release(tokens)
        waited_s = job.began - submitted
        self.figures.waited(waited_s)
        return Done(values, waited_s * 1000, (job.ended - job.began) * 1000)

    def _note_idle(self) -> None:
        if self.admission.is_closed and not self.admission.requests and not self.admission.tokens:
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
        pace = self._paces.of(first.pace) if first.pace is not None else None
        short_tokens = pace.tokens_within(TICK_S) if pace else 0
        is_short = first.tokens <= short_tokens
        batch = self._queue.take(short_tokens if is_short else self.batch_tokens, now)
        self._is_running = True
        if is_short:
            self._on_done(loop, pace, batch, _outcomes(batch))
        else:
            on_done = partial(self._on_done, loop, pace, batch)
            self._thread.submit(_outcomes, batch).add_done_callback(_on_loop(loop, on_done))

    def _on_done(
        self, loop: asyncio.AbstractEventLoop, pace: Pace | None, batch: list[Job], outcomes: list["Outcome"]
    ) -> None:
        self._is_running = False
        for job, outcome in zip(batch, outcomes, strict=True):
            if job.wanted:
                _resolve(job, outcome)
        tokens, seconds = sum(job.tokens for job in batch), batch[0].ended - batch[0].began
        if pace:
            pace.measured(tokens, seconds)
        self._overall.measured(tokens, seconds)
        self.figures.ran(sum(len(job.items) for job in batch), tokens, seconds)
        self._release(tokens)
        self._schedule_turn(loop)

    def _release(self, tokens: int) -> None:
        self.admission.leave_part(tokens)
        self._note_idle()


def _parts(costs: Sequence[int], budget: int) -> list[list[int]]:
    """Indices of the items, in parts of at most `budget` tokens (or one item), those of similar length together."""
    parts: list[list[int]] = []
    room = 0
    for i in sorted(range(len(costs)), key=costs.__getitem__):
        if not parts or costs[i] > room:
            parts.append([])
            room = budget
        parts[-1].append(i)
        room -= costs[i]
    return parts


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
    loop: asyncio.AbstractEventLoop, call: Callable[[list[Outcome]], None]
) -> Callable[["Future[list[Outcome]]"], None]:
    def done(future: "Future[list[Outcome]]") -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(call, future.result())

    return done
