"""An HTTP/1.1 load: so many connections, each sends its next request when the last answer has come.

Raw protocols on uvloop: the requests are made before the clock starts and of an answer only status and length are read,
so that one core asks faster than one core answers.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import uvloop


@dataclass(frozen=True)
class Load:
    """answered: within `seconds`; latencies in ms, sorted; failed: answers that were not 200."""

    answered: int
    failed: int
    seconds: float
    latencies: list[float]
    client_cpu: float  # share of its core that the client was busy

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds

    def percentile(self, share: float) -> float:
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def request(host: str, port: int, path: str, body: bytes, accept: str = "application/json") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: application/json\r\n"
        f"accept: {accept}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def load(host: str, port: int, requests: Sequence[bytes], connections: int, warm_s: float, seconds: float) -> Load:
    """Requests are taken in order, and from the first one again only where all were sent."""
    return uvloop.run(_load(host, port, requests, connections, warm_s, seconds))


async def _load(
    host: str, port: int, requests: Sequence[bytes], connections: int, warm_s: float, seconds: float
) -> Load:
    clock = _Clock(time.perf_counter() + warm_s, seconds)
    turns = _forever(requests)
    loop = asyncio.get_running_loop()
    clients = [(await loop.create_connection(lambda: _Client(turns, clock), host, port))[1] for _ in range(connections)]
    await asyncio.sleep(max(0.0, clock.begins - time.perf_counter()))
    busy = time.process_time()
    await asyncio.sleep(seconds)
    busy = time.process_time() - busy
    for client in clients:
        client.transport.close()
    return Load(len(clock.latencies), clock.failed, seconds, sorted(clock.latencies), busy / seconds)


def _forever(requests: Sequence[bytes]) -> Iterator[bytes]:
    while True:
        yield from requests


class _Clock:
    def __init__(self, begins: float, seconds: float) -> None:
        self.begins, self.ends = begins, begins + seconds
        self.latencies: list[float] = []
        self.failed = 0


class _Client(asyncio.Protocol):
    def __init__(self, turns: Iterator[bytes], clock: _Clock) -> None:
        self.turns, self.clock = turns, clock
        self.buffer, self.expected, self.sent = bytearray(), 0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own are no subclass of it
        self._ask()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.expected:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.buffer[:end]).lower()
            at = head.find(b"content-length:")
            if at < 0:
                raise ValueError(f"an answer without content-length: {head!r}")
            self.expected = end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self.buffer) >= self.expected:
            self._answered()

    def _answered(self) -> None:
        now = time.perf_counter()
        if self.clock.begins <= now < self.clock.ends:
            self.clock.latencies.append((now - self.sent) * 1000)
            self.clock.failed += self.buffer[9:12] != b"200"
        self.buffer.clear()
        self.expected = 0
        if now < self.clock.ends:
            self._ask()

    def _ask(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(next(self.turns))
