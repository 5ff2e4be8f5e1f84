"""Which of the waiting jobs run together next. Pure bookkeeping: no threads, no clock: callers pass the time.

The job that has waited longest is always in the next batch, so none starves. It is joined by jobs of its group (one
model, plain predictions) up to a budget of tokens: those that have waited too long first, then those nearest to it in
length, since texts of similar length waste least. Jobs without a group run alone.
"""

import asyncio
import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

OLD_S = 0.05  # a job that has waited this long goes ahead of jobs whose length fits better
LOOKED_AT = 512  # waiting jobs that are considered for a batch: bounds the cost of a long queue


@dataclass(eq=False, slots=True)
class Job:
    """One request's work. run(items of all jobs of a batch) returns one value for each item, in order.

    tokens: the cost of the request; longest: the length of its longest item, in tokens; group: jobs of one group may
    share one `run`, a job of group None runs alone; pace: jobs of one pace take about the same time per token.
    """

    items: Sequence[Any]
    tokens: int
    longest: int
    run: Callable[[list[Any]], Sequence[Any]]
    pace: Hashable
    group: Hashable | None
    submitted: float
    answer: "asyncio.Future[list[Any]]" = field(repr=False)
    began: float = 0.0
    ended: float = 0.0
    taken: bool = False

    @property
    def wanted(self) -> bool:
        """Whether a client still waits: not after a disconnect, nor after a 504."""
        return not self.answer.done()


class Queue:
    """Jobs in order of arrival."""

    def __init__(self) -> None:
        self._jobs: dict[Job, None] = {}  # ordered, and removal is O(1) at any position

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Job) -> None:
        self._jobs[job] = None

    def first(self) -> Job | None:
        """The oldest job whose client still waits; jobs that nobody waits for are dropped."""
        while self._jobs:
            job = next(iter(self._jobs))
            if job.wanted:
                return job
            self.drop(job)
        return None

    def take(self, budget: int, now: float) -> list[Job]:
        """The next batch: at most `budget` tokens, unless the first job alone is larger; empty when no job waits."""
        first = self.first()
        if first is None:
            return []
        batch, remaining = [first], budget - first.tokens
        for job in self._companions(first, remaining, now):
            if job.tokens <= remaining:
                batch.append(job)
                remaining -= job.tokens
        for job in batch:
            self.drop(job)
            job.taken = True
        return batch

    def drop(self, job: Job) -> None:
        self._jobs.pop(job, None)

    def _companions(self, first: Job, room: int, now: float) -> Iterator[Job]:
        """Jobs that may run with `first`, most urgent first; in order of arrival where all fit into `room`."""
        if first.group is None or room <= 0 or len(self._jobs) == 1:
            return iter(())
        candidates = itertools.islice(self._jobs, LOOKED_AT)
        group = [job for job in candidates if job.group == first.group and job is not first and job.wanted]
        if sum(job.tokens for job in group) <= room:
            return iter(group)
        return iter(sorted(group, key=lambda j: (now - j.submitted < OLD_S, abs(j.longest - first.longest))))
