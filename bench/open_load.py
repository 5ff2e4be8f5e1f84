"""An open-loop HTTP/1.1 load: requests are sent when they are due, whether or not earlier ones have been answered.

A closed loop (`bench.load`) slows down with the server and so hides an overload: each of its connections waits for its
answer. Here arrivals are a seeded Poisson process, and a latency counts from the moment at which its request was due,
so that a client that falls behind counts against the server and never for it.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import uvloop

from .load import answer_length

_STEP_S = 0.001  # between two looks at what is due
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Arrivals:
    """Requests a second, for how long, and the share of clients that leave before they are answered.

    connections: the most that are open at once; an arrival that finds none free is counted as `unsent`.
    leaves_within_s: a client that leaves does so within this time, uniformly drawn. keeps: whether connections are
    used again, as far as the server allows.
    """

    rate: float
    seconds: float
    connections: int = 800
    leaving: float = 0.0
    leaves_within_s: float = 0.05
    keeps: bool = True
    seed: int = 0


@dataclass
class Outcome:
    """What became of every arrival. statuses: answers by status, 0 for a request that was sent and never answered."""

    due: int = 0
    unsent: int = 0
    refused: int = 0  # no connection could be opened
    left: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)  # ms, of the answers with status 200
    answers: list[tuple[int, bytes]] = field(default_factory=list)  # (request, body) of those, where they are kept
    unanswered: int = 0  # at the end of patience
    seconds: float = 0.0  # from the first arrival to the last answer of status 200
    latest_ms: float = 0.0  # the largest delay of a request at the client
    client_cpu: float = 0.0  # CPU time of the client per second

    @property
    def goodput(self) -> float:
        """Answers of status 200 a second."""
        return self.statuses[200] / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Of the latencies in ms. Raises: ValueError where nothing was answered with 200."""
        if not self.latencies:
            raise ValueError(f"no request was answered with 200: {dict(self.statuses)}")
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def open_load(
    host: str, port: int, requests: Sequence[bytes], arrivals: Arrivals, patience_s: float = 30.0, keep: bool = False
) -> Outcome:
    """Sends requests in turn, from the first one again when all were sent.

    patience_s: how long after the last arrival answers are waited for; keep: whether bodies are returned.
    """
    return uvloop.run(_Run(host, port, requests, arrivals, keep).run(patience_s))


class _Run:
    def __init__(self, host: str, port: int, requests: Sequence[bytes], arrivals: Arrivals, keep: bool) -> None:
        self.host, self.port, self.requests, self.arrivals, self.keep = host, port, requests, arrivals, keep
        self.draw = random.Random(arrivals.seed)
        self.outcome = Outcome()
        self.free: list[_Client] = []
        self.opened = 0
        self.waiting: set[_Client] = set()
        self.opening: set[asyncio.Task[None]] = set()

    async def run(self, patience_s: float) -> Outcome:
        began, cpu = time.perf_counter(), time.process_time()
        self.last_answer = began
        due, end = began, began + self.arrivals.seconds
        while due < end:
            now = time.perf_counter()
            while due <= now and due < end:
                self._arrive(due)
                due += self.draw.expovariate(self.arrivals.rate)
            await asyncio.sleep(_STEP_S)
        spent = time.perf_counter() - began
        self.outcome.client_cpu = (time.process_time() - cpu) / spent
        patience = time.perf_counter() + patience_s
        while (self.waiting or self.opening) and time.perf_counter() < patience:
            await asyncio.sleep(_STEP_S)
        self.outcome.unanswered = len(self.waiting) + len(self.opening)
        self.outcome.seconds = max(self.last_answer - began, self.arrivals.seconds)
        for client in [*self.free, *self.waiting]:
            client.transport.abort()
        return self.outcome

    def _arrive(self, due: float) -> None:
        number = self.outcome.due
        self.outcome.due += 1
        leaves = self.draw.random() < self.arrivals.leaving
        after_s = self.draw.uniform(0, self.arrivals.leaves_within_s)
        while self.free:
            client = self.free.pop()
            if not client.transport.is_closing():
                client.send(number, due, after_s if leaves else None)
                return
        if self.opened >= self.arrivals.connections:
            self.outcome.unsent += 1
            return
        self.opened += 1
        task = asyncio.get_running_loop().create_task(self._open(number, due, after_s if leaves else None))
        self.opening.add(task)
        task.add_done_callback(self.opening.discard)

    async def _open(self, number: int, due: float, leaves_after_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, client = await loop.create_connection(lambda: _Client(self), self.host, self.port)
        except OSError:
            self.opened -= 1
            self.outcome.refused += 1
            return
        client.send(number, due, leaves_after_s)


class _Client(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, run: _Run) -> None:
        self.run = run
        self.buffer, self.expected = bytearray(), 0
        self.number, self.due = 0, 0.0
        self.departure: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transports do not subclass it

    def send(self, number: int, due: float, leaves_after_s: float | None) -> None:
        run = self.run
        self.number, self.due = number, due
        run.outcome.latest_ms = max(run.outcome.latest_ms, (time.perf_counter() - due) * 1000)
        run.waiting.add(self)
        self.transport.write(run.requests[number % len(run.requests)])
        if leaves_after_s is not None:
            self.departure = asyncio.get_running_loop().call_later(leaves_after_s, self._leave)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.expected = self.expected or answer_length(self.buffer)
        if self.expected and len(self.buffer) >= self.expected:
            self._answered()

    def connection_lost(self, exc: Exception | None) -> None:
        self.run.opened -= 1
        if self in self.run.free:
            self.run.free.remove(self)
        if self in self.run.waiting:
            self.run.waiting.discard(self)
            self.run.outcome.statuses[0] += 1

    def _leave(self) -> None:
        if self in self.run.waiting:
            self.run.waiting.discard(self)
            self.run.outcome.left += 1
            self.transport.abort()

    def _answered(self) -> None:
        run, now = self.run, time.perf_counter()
        if self.departure:
            self.departure.cancel()
            self.departure = None
        run.waiting.discard(self)
        status = int(self.buffer[9:12])
        run.outcome.statuses[status] += 1
        if status == 200:
            run.last_answer = now
            run.outcome.latencies.append((now - self.due) * 1000)
            if run.keep:
                body = bytes(self.buffer[self.buffer.find(_HEAD_END) + 4 : self.expected])
                run.outcome.answers.append((self.number % len(run.requests), body))
        head = bytes(self.buffer[: self.buffer.find(_HEAD_END)]).lower()
        self.buffer.clear()
        self.expected = 0
        if not run.arrivals.keeps or b"connection: close" in head:
            self.transport.close()
        elif not self.transport.is_closing():
            run.free.append(self)
