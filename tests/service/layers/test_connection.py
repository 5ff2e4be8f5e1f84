"""Clients that send too much, too slowly or not at all are let go, and nobody else notices."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service.layers.listening import Loop

PREDICT = b"/v1/models/tiny-zh-lstm/predict"
BODY = b'{"inputs": "x"}'


@pytest.fixture
def strict(serve: Any) -> Iterator[httpx.Client]:
    """A server with little patience."""
    limits = {"header_timeout_ms": 400, "body_timeout_ms": 400, "read_timeout_ms": 400}
    with serve(max_header_bytes=1024, max_connections=5, **limits) as client:
        yield client


def connect(client: httpx.Client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=10)


def everything(connection: socket.socket) -> bytes:
    """What the server sends until it closes."""
    found = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            found += part
    return bytes(found)


def request(headers: bytes = b"", body: bytes = BODY) -> bytes:
    length = b"content-length: %d\r\n" % len(body)
    return b"POST %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n%b%b\r\n%b" % (PREDICT, length, headers, body)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def header_of(size: int) -> bytes:
    """A header that makes request line and headers `size` bytes as they are counted: 4 bytes beside name and value."""
    counted = len(PREDICT) + sum(len(n) + len(v) + 4 for n, v in ((b"host", b"x"), (b"connection", b"close")))
    counted += len(b"content-length") + len(str(len(BODY))) + 4
    return b"filler: " + b"x" * (size - counted - len(b"filler") - 4) + b"\r\n"


def test_headers_at_the_limit_are_read_and_one_byte_more_is_431(strict: httpx.Client) -> None:
    for size, expected in ((1024, 200), (1025, 431)):
        with connect(strict) as connection:
            connection.sendall(request(header_of(size)))
            answer = everything(connection)
            assert status(answer) == expected
    problem = json.loads(answer.split(b"\r\n\r\n", 1)[1])
    assert problem["status"] == 431
    assert "GATESCOPE_MAX_HEADER_BYTES" in problem["detail"]


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nendless: "], ids=["request line", "header"])
def test_a_header_that_never_ends_is_refused_at_the_limit_and_not_collected(strict: httpx.Client, start: bytes) -> None:
    with connect(strict) as connection:
        connection.sendall(start)
        with contextlib.suppress(ConnectionError):  # the server has closed
            for _ in range(1000):
                connection.sendall(b"x" * 1000)
        assert status(everything(connection)) in (431, 0)
    assert strict.get("/health/live").status_code == 200


def test_many_small_headers_count_together(strict: httpx.Client) -> None:
    with connect(strict) as connection:
        connection.sendall(request(b"".join(b"a%d: b\r\n" % n for n in range(500))))
        assert status(everything(connection)) == 431


@pytest.mark.parametrize(
    "sent", [b"", b"POST /v1/mod", b"GET / HTTP/1.1\r\nhost: x\r\n"], ids=["nothing", "line", "header"]
)
def test_headers_that_do_not_come_end_the_connection(strict: httpx.Client, sent: bytes) -> None:
    with connect(strict) as connection:
        began = time.perf_counter()
        if sent:
            connection.sendall(sent)
        assert everything(connection) == b""
        assert 0.3 < time.perf_counter() - began < 3


def test_headers_that_trickle_end_the_connection_whatever_they_are(strict: httpx.Client) -> None:
    with connect(strict) as connection:
        began = time.perf_counter()
        sent = 0
        with contextlib.suppress(ConnectionError):
            for byte in request(b"x: y\r\n" * 50):
                connection.sendall(bytes([byte]))
                sent += 1
                time.sleep(0.02)
        assert 10 < sent < 150
        assert time.perf_counter() - began < 3


def test_a_body_that_trickles_is_408(strict: httpx.Client) -> None:
    head = request(b"", b"x" * 1000).removesuffix(b"x" * 1000)
    for sent in (b"", b"x", b"x" * 5):
        with connect(strict) as connection:
            connection.sendall(head)
            for byte in sent:
                connection.sendall(bytes([byte]))
                time.sleep(0.02)
            answer = everything(connection)
            assert status(answer) == 408
            assert b"GATESCOPE_BODY_TIMEOUT_MS" in answer


def test_as_many_connections_as_allowed_and_the_next_is_503_with_a_time_to_come_back(strict: httpx.Client) -> None:
    held = [connect(strict) for _ in range(5)]
    try:
        held[-1].sendall(request())
        assert status(everything(held[-1])) == 200
        held[-1].close()
        held[-1] = connect(strict)
        with connect(strict) as sixth:
            answer = everything(sixth)
        assert status(answer) == 503
        assert b"retry-after: 1" in answer
        assert b"GATESCOPE_MAX_CONNECTIONS" in answer
    finally:
        for connection in held:
            connection.close()
    time.sleep(0.1)
    assert strict.get("/health/live").status_code == 200


def test_a_client_that_leaves_half_way_frees_its_place(strict: httpx.Client) -> None:
    for _ in range(20):
        with connect(strict) as connection:
            connection.sendall(request()[:-3])
    time.sleep(0.1)
    assert strict.get("/health/live").status_code == 200


def test_three_megabytes_in_chunks_of_one_byte_are_read(serve: Any) -> None:
    """Bounded in time, and what was sent is what is read: blanks around the JSON."""
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"1\r\n \r\n" * 3_000_000 + b"0\r\n\r\n"
    head = b"POST %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n" % PREDICT
    with serve() as client, connect(client) as connection:
        connection.settimeout(60)
        began = time.perf_counter()
        connection.sendall(head + chunks)
        assert status(everything(connection)) == 200
        assert time.perf_counter() - began < 30


def test_a_client_that_reads_nothing_of_its_answer_is_disconnected(strict: httpx.Client) -> None:
    ask = json.dumps({"inputs": ["字" * 590] * 200, "encoding": "base64"}).encode()
    path = PREDICT.replace(b"predict", b"inspect")
    head = b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (path, len(ask))
    with connect(strict) as connection:
        connection.sendall(head + ask)
        connection.recv(1)  # the answer has begun
        time.sleep(1)
        assert len(everything(connection)) < 20_000_000  # of 26 million: the rest was given up
    assert strict.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    "raw", [b"\x00" * 100, b"HELLO\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"]
)
def test_what_is_not_http_is_400_with_a_problem(strict: httpx.Client, raw: bytes) -> None:
    with connect(strict) as connection:
        connection.sendall(raw)
        answer = everything(connection)
    assert status(answer) == 400
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["error_type"] == "bad_request"


def test_bytes_after_a_refusal_are_not_read(strict: httpx.Client) -> None:
    with connect(strict) as connection:
        connection.sendall(b"NONSENSE\r\n\r\n" + request())
        answer = everything(connection)
    assert answer.count(b"\r\n\r\n") == 1


def test_who_has_knocked_before_the_port_closes_is_heard() -> None:
    """Connections that the kernel has opened and the event loop has not yet seen, with their requests already sent."""
    heard: list[bytes] = []

    class Listener(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            heard.append(data)
            self.transport.write(b"heard")

        def shutdown(self) -> None:
            pass

    async def scenario() -> list[bytes]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Listener, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        early = [socket.create_connection(address, timeout=10) for _ in range(20)]  # the loop has no turn in between
        for n, connection in enumerate(early):
            connection.sendall(b"%d" % n)
        server.close()
        answers = await asyncio.gather(*(asyncio.to_thread(connection.recv, 10) for connection in early))
        await server.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=10)
        for connection in early:
            connection.close()
        return list(answers)

    with asyncio.Runner(loop_factory=Loop) as runner:
        assert runner.run(scenario()) == [b"heard"] * 20
    assert sorted(map(int, heard)) == list(range(20))
