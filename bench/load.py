"""An HTTP/1.1 load generator: each of its connections sends the next request when the last answer has arrived.

Raw protocols on uvloop: requests are built before timing starts, and only status and length of an answer are read, so
that one core sends faster than a server on one core answers. `Connection` sends one request at a time and returns the
answers.
"""

import asyncio
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import uvloop

_HEAD_END = b"\r\n\r\n"
_LONGEST_HEAD = 1 << 13


@dataclass(frozen=True)
class Load:
    """The answers within `seconds`."""

    answered: int
    failed: int  # answers other than 200, and connections that the server closed
    sent: int  # in total, with the warm-up; more than len(requests) means that requests were repeated
    seconds: float
    latencies: list[float]  # ms, sorted
    client_cpu: float  # CPU time of the client per second, at most 1 on one core

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds

    def percentile(self, share: float) -> float:
        """The latency in ms that this share of the answers does not exceed.

        Raises: ValueError where nothing was answered.
        """
        if not self.latencies:
            raise ValueError(f"nothing was answered within {self.seconds} s: read the server's log")
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def request(
    host: str, port: int, path: str, body: bytes = b"", accept: str = "application/json", method: str = "POST"
) -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: application/json\r\n"
        f"accept: {accept}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def load(
    host: str,
    port: int,
    requests: Sequence[bytes],
    connections: int,
    warm_s: float,
    seconds: float,
    pause_s: float = 0.0,
) -> Load:
    """Sends the requests in order, and starts again from the first one when all were sent.

    pause_s: pause of a connection between an answer and its next request, for a light load that samples latencies.
    """
    return uvloop.run(_load(host, port, requests, connections, warm_s, seconds, pause_s))


async def _load(
    host: str, port: int, requests: Sequence[bytes], connections: int, warm_s: float, seconds: float, pause_s: float
) -> Load:
    clock = _Clock(time.perf_counter() + warm_s, seconds, pause_s)
    repeated = _repeated(requests)
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: _Client(repeated, clock), host, port))[1] for _ in range(connections)
    ]
    await asyncio.sleep(max(0.0, clock.start - time.perf_counter()))
    cpu = time.process_time()
    await asyncio.sleep(max(0.0, clock.end - time.perf_counter()))
    cpu = time.process_time() - cpu
    for client in clients:
        client.transport.close()
    return Load(len(clock.latencies), clock.failed, clock.sent, seconds, sorted(clock.latencies), cpu / seconds)


def _repeated(requests: Sequence[bytes]) -> Iterator[bytes]:
    while True:
        yield from requests


class _Clock:
    def __init__(self, start: float, seconds: float, pause_s: float) -> None:
        self.start, self.end, self.pause_s = start, start + seconds, pause_s
        self.latencies: list[float] = []
        self.failed = self.sent = 0


class _Client(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], clock: _Clock) -> None:
        self.requests, self.clock = requests, clock
        self.buffer, self.expected, self.sent_at = bytearray(), 0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transports do not subclass it
        self._send()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.expected = self.expected or answer_length(self.buffer)
        if self.expected and len(self.buffer) >= self.expected:
            self._answered()

    def connection_lost(self, exc: Exception | None) -> None:
        if time.perf_counter() < self.clock.end:
            self.clock.failed += 1

    def _answered(self) -> None:
        clock, now = self.clock, time.perf_counter()
        if clock.start <= now < clock.end:
            clock.latencies.append((now - self.sent_at) * 1000)
            clock.failed += self.buffer[9:12] != b"200"
        self.buffer.clear()
        self.expected = 0
        if now >= clock.end:
            return
        if clock.pause_s:
            asyncio.get_running_loop().call_later(clock.pause_s, self._send)
        else:
            self._send()

    def _send(self) -> None:
        if self.transport.is_closing():  # closed during the pause
            return
        self.clock.sent += 1
        self.sent_at = time.perf_counter()
        self.transport.write(next(self.requests))


def answer_length(received: bytes | bytearray) -> int:
    """Bytes of an answer with its head; 0 while the head is incomplete.

    Raises: ValueError for an answer without content-length.
    """
    end = received.find(_HEAD_END)
    if end < 0:
        return 0
    head = bytes(received[:end]).lower()
    at = head.find(b"content-length:")
    if at < 0:
        raise ValueError(f"an answer without content-length: {head!r}")
    return end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0])


class Connection:
    """One blocking connection, the cheapest client; one request at a time."""

    def __init__(self, host: str, port: int, timeout_s: float = 60.0) -> None:
        """Raises: OSError where no server listens."""
        self._socket = socket.create_connection((host, port), timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(1 << 19)  # reused: allocating memory for each answer would be timed too

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Returns: status and body. Raises: OSError where the server is gone or does not answer in time."""
        self._socket.sendall(request)
        received = expected = 0
        while not expected or received < expected:
            if received == len(self._buffer):
                self._buffer.extend(bytes(received))
            with memoryview(self._buffer) as view:
                count = self._socket.recv_into(view[received:])
            if not count:
                raise ConnectionError(f"the server closed after {received} bytes of an answer")
            received += count
            expected = expected or answer_length(self._buffer[: min(received, _LONGEST_HEAD)])
        head = self._buffer.find(_HEAD_END) + 4
        with memoryview(self._buffer) as answer:
            return int(answer[9:12]), bytes(answer[head:received])
