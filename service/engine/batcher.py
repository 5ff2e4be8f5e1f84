"""Which of the waiting jobs run together next. Pure bookkeeping: knows no threads, and of time what it is told.

The job that has waited longest is always in the next batch, so none starves. Beside it go jobs of its group (one model,
nothing asked but the prediction) up to a budget of tokens: those that have waited too long first, then those nearest to
it in length, for texts of like length run best together. Jobs without a group run alone.
"""

import asyncio
import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

OLD_S = 0.05  # a job that has waited so long no longer yields to texts of better length
LOOKED_AT = 512  # waiting jobs, of which a batch is made: a long queue costs no more than this


@dataclass(eq=False)
class Job:
    """One request's work. run(items of all jobs of a batch) gives one value for each item, in order.

    tokens: what the request is charged with; longest: of its items, in tokens; group: of the jobs that may share one
    `run`, None for none; pace: of the jobs whose time a token is alike.
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
        """Whether anybody still waits for it: a client that has left, or has got its 504, does not."""
        return not self.answer.done()


class Queue:
    """Jobs in order of arrival."""

    def __init__(self) -> None:
        self._jobs: dict[Job, None] = {}  # ordered, and a job anywhere is removed in one step

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Job) -> None:
        self._jobs[job] = None

    def first(self) -> Job | None:
        """The job that has waited longest, of those somebody waits for; the others are dropped on the way."""
        while self._jobs:
            job = next(iter(self._jobs))
            if job.wanted:
                return job
            self.drop(job)
        return None

    def take(self, budget: int, now: float) -> list[Job]:
        """The next batch, at most `budget` tokens but for a first job that is larger; empty when nobody waits."""
        first = self.first()
        if first is None:
            return []
        batch, left = [first], budget - first.tokens
        for job in self._companions(first, left, now):
            if job.tokens <= left:
                batch.append(job)
                left -= job.tokens
        for job in batch:
            self.drop(job)
            job.taken = True
        return batch

    def drop(self, job: Job) -> None:
        self._jobs.pop(job, None)

    def _companions(self, first: Job, room: int, now: float) -> Iterator[Job]:
        """Jobs that may run with `first`, the most urgent ahead; in order of arrival where there is room for all."""
        if first.group is None or room <= 0:
            return iter(())
        near = itertools.islice(self._jobs, LOOKED_AT)
        same = [job for job in near if job.group == first.group and job is not first and job.wanted]
        if sum(job.tokens for job in same) <= room:
            return iter(same)
        return iter(sorted(same, key=lambda j: (now - j.submitted < OLD_S, abs(j.longest - first.longest))))
