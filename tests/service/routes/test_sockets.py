"""stream over a real WebSocket: a frame a token, every error a frame and a close, and a server that survives its clients."""

import base64
import contextlib
import json
import os
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.service.conftest import Serve

TEXT = "中国女排在北京战胜了巴西队"


@contextmanager
def opened(
    client: httpx.Client, model: str = "tiny-zh-lstm", query: str = "", **options: Any
) -> Iterator[ClientConnection]:
    url = str(client.base_url).replace("http", "ws", 1).rstrip("/") + f"/v1/models/{model}/stream{query}"
    with connect(url, open_timeout=10, close_timeout=5, proxy=None, **options) as connection:
        yield connection


def say(connection: ClientConnection, **frame: Any) -> None:
    connection.send(json.dumps(frame))


def hear(connection: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(connection.recv(timeout=10))
    return found


def whole(client: httpx.Client, text: str, model: str = "tiny-zh-lstm") -> dict[str, Any]:
    answer: dict[str, Any] = client.post(f"/v1/models/{model}/predict", json={"inputs": text}).json()["results"][0]
    return answer


def closed_after_problem(connection: ClientConnection) -> tuple[str, int]:
    """(error_type, code): the next frame is a problem, and then the server closes."""
    problem = hear(connection)
    assert {"type", "title", "status", "detail", "error", "error_type"} <= set(problem)
    with pytest.raises(ConnectionClosed) as caught:
        connection.recv(timeout=10)
    assert caught.value.rcvd is not None
    return problem["error_type"], caught.value.rcvd.code


def is_alive(client: httpx.Client) -> bool:
    with opened(client) as connection:
        say(connection, text="好")
        return bool(hear(connection)["timestep"] == 1)


def test_a_frame_for_each_token_and_the_end(server: httpx.Client) -> None:
    with opened(server) as connection:
        say(connection, text=TEXT[:5])
        say(connection, text=TEXT[5:])
        frames = [hear(connection) for _ in TEXT]
        say(connection, done=True)
        assert hear(connection) == {"done": True, "timestep": len(TEXT)}
        with pytest.raises(ConnectionClosed) as caught:
            connection.recv(timeout=10)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1000
    assert [frame["timestep"] for frame in frames] == list(range(1, len(TEXT) + 1))
    for n, frame in enumerate(frames, 1):
        for got, want in zip(frame["results"][0]["labels"], whole(server, TEXT[:n])["labels"], strict=True):
            assert got["label"] == want["label"]
            assert got["score"] == pytest.approx(want["score"], abs=1e-6)


def test_what_a_chunk_cuts_is_read_as_it_stands_and_its_frame_comes_again(server: httpx.Client) -> None:
    with opened(server) as connection:
        answers = []
        for chunk in ("好e", "\u0301", " ", "的"):
            say(connection, text=chunk)
        say(connection, done=True)
        while "done" not in (frame := hear(connection)):
            answers.append((frame["timestep"], frame["results"][0]["labels"]))
    assert [timestep for timestep, _ in answers] == [1, 2, 2, 3]
    for (_, labels), text in zip(answers, ("好", "好e", "好e\u0301", "好e\u0301 的"), strict=True):
        assert labels[0]["score"] == pytest.approx(whole(server, text)["labels"][0]["score"], abs=1e-6)


def test_entities_of_all_frames_are_predicts(server: httpx.Client) -> None:
    final, last = [], []
    with opened(server, "tiny-zh-ner-lstm") as connection:
        for chunk in (TEXT[:1], TEXT[1:2], TEXT[2:9], TEXT[9:]):
            say(connection, text=chunk)
        say(connection, done=True)
        while "done" not in (frame := hear(connection)):
            last = frame["results"][0]["entities"]
            final += [e for e in last if e["final"]]
    got = final + [e for e in last if not e["final"]]
    assert [(e["start"], e["end"], e["label"]) for e in got] == [
        (e["start"], e["end"], e["label"]) for e in whole(server, TEXT, "tiny-zh-ner-lstm")["entities"]
    ]


def test_with_inspect_a_frame_shows_its_timestep(server: httpx.Client) -> None:
    want = server.post("/v1/models/tiny-zh-lstm/inspect", json={"inputs": TEXT, "tensors": ["forget_gate"]}).json()
    rows = want["results"][0]["tensors"]["forget_gate"]["data"][0][0]
    with opened(server) as connection:
        say(connection, text=TEXT, inspect={"tensors": ["forget_gate"]})
        for t in range(len(TEXT)):
            [result] = hear(connection)["results"]
            assert result["selection"]["timesteps"] == [t]
            assert result["tensors"]["forget_gate"]["data"][0][0] == [pytest.approx(rows[t], abs=1e-6)]
            assert [token["text"] for token in result["token_list"]] == [TEXT[t]]


@pytest.mark.parametrize(
    ("frame", "error_type", "code"),
    [
        ("{", "malformed_body", 1007),
        ("", "malformed_body", 1007),
        ('{"text": NaN}', "malformed_body", 1007),
        (r'{"text": "a\ud83db"}', "malformed_body", 1007),
        ("[]", "invalid_request", 1008),
        ("{}", "invalid_request", 1008),
        ('{"text": "x", "done": true}', "invalid_request", 1008),
        ('{"done": false}', "invalid_request", 1008),
        ('{"text": "x", "state": "y"}', "invalid_request", 1008),
        ('{"text": "x", "inspect": {"tensors": ["nothing"]}}', "invalid_request", 1008),
        (json.dumps({"text": "好" * 2001}), "too_many_characters", 1008),
        (b"\x00\xffgarbage", "frame_rejected", 1003),
    ],
)
def test_a_wrong_frame_is_answered_by_a_problem_and_a_close(
    server: httpx.Client, frame: str | bytes, error_type: str, code: int
) -> None:
    with opened(server) as connection:
        connection.send(frame)
        assert closed_after_problem(connection) == (error_type, code)


@pytest.mark.parametrize(("model", "error_type"), [("nobody", "unknown_model"), ("tiny-en-bilstm", "not_streamable")])
def test_a_model_that_cannot_stream_is_a_frame_too(server: httpx.Client, model: str, error_type: str) -> None:
    with opened(server, model) as connection:
        assert closed_after_problem(connection) == (error_type, 1008)


def test_a_frame_over_the_limit_closes_with_1009_and_one_below_is_answered(serve: Serve) -> None:
    with serve(max_frame_bytes=2000) as client:
        with opened(client) as connection:
            say(connection, text="好" + " " * 1900)
            assert hear(connection)["timestep"] == 1
            say(connection, text="好" + " " * 3000)
            with pytest.raises(ConnectionClosed) as caught:
                connection.recv(timeout=10)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1009
        assert is_alive(client)


def test_as_many_streams_as_the_setting_says_and_not_one_more(serve: Serve) -> None:
    with serve(max_streams=2) as client, opened(client) as first:
        with opened(client) as second:
            for connection in (first, second):
                say(connection, text="好")
                assert hear(connection)["timestep"] == 1
            with pytest.raises(InvalidStatus) as caught, opened(client):
                pass
            refused = caught.value.response
            assert refused.status_code == 503
            assert json.loads(refused.body or b"")["error_type"] == "too_many_streams"
            assert refused.headers["retry-after"] == "1"
            say(first, text="的")
            assert hear(first)["timestep"] == 2
        for _ in range(100):  # the place of the one that left is free as soon as its close was seen
            try:
                assert is_alive(client)
                return
            except InvalidStatus:
                threading.Event().wait(0.02)
        raise AssertionError("the place was never free again")


def test_a_server_that_stops_closes_its_streams_and_waits_for_none(serve: Serve) -> None:
    with contextlib.ExitStack() as stack:
        with serve(drain_ms=0) as client:
            connection = stack.enter_context(opened(client))
            say(connection, text="好")
            assert hear(connection)["timestep"] == 1
        with pytest.raises(ConnectionClosed) as caught:  # the server has stopped: its end of the block says so
            connection.recv(timeout=10)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012


def test_a_key_comes_as_a_subprotocol_and_never_in_the_query(serve: Serve) -> None:
    with serve(api_keys="good") as client:
        with opened(client, subprotocols=["gatescope.key.good"]) as connection:
            assert connection.subprotocol == "gatescope.key.good"
            say(connection, text="好")
            assert hear(connection)["timestep"] == 1
        with opened(client, subprotocols=["gatescope", "gatescope.key.good"]) as connection:
            assert connection.subprotocol == "gatescope"
        for options in ({}, {"query": "?key=good&x-api-key=good"}, {"subprotocols": ["gatescope.key.bad"]}):
            with pytest.raises(InvalidStatus) as caught, opened(client, **options):
                pass
            assert caught.value.response.status_code == 401
            assert json.loads(caught.value.response.body or b"")["error_type"] == "unauthorized"


def test_a_foreign_page_may_not_open_a_stream(serve: Serve) -> None:
    with serve(cors_origins="https://friend.example") as client:
        own = str(client.base_url).rstrip("/")
        for origin in (own, "https://friend.example"):
            with opened(client, origin=origin) as connection:
                say(connection, text="好")
                assert hear(connection)["timestep"] == 1
        for origin in ("https://evil.example", "null", own + "0", "http://127.0.0.1"):
            with pytest.raises(InvalidStatus) as caught, opened(client, origin=origin):
                pass
            assert caught.value.response.status_code == 403
            assert json.loads(caught.value.response.body or b"")["error_type"] == "foreign_origin"


def test_a_stream_without_frames_is_closed_after_a_while(serve: Serve) -> None:
    with serve(stream_idle_ms=100) as client, opened(client) as connection:
        assert closed_after_problem(connection) == ("stream_idle", 1001)


def handshake(client: httpx.Client) -> socket.socket:
    """A WebSocket by hand, for what no library sends."""
    raw = socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=10)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    key = base64.b64encode(os.urandom(16)).decode()
    raw.sendall(
        f"GET /v1/models/tiny-zh-lstm/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += raw.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return raw


def text_frame(payload: bytes) -> bytes:
    size = bytes([128 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
    return b"\x81" + size + bytes(4) + payload


def is_cut_off(raw: socket.socket, frame: bytes) -> bool:
    """Whether the server has ended this connection, though nothing of its answers was read."""
    for _ in range(200):
        try:
            raw.sendall(frame)
        except TimeoutError:
            return False
        except OSError:
            return True
        threading.Event().wait(0.05)
    return False


def test_a_client_that_never_reads_is_ended_and_nobody_else_waits(serve: Serve) -> None:
    """It asks for tensors and reads none: the server stops reading its frames, and after a while lets it go."""
    with serve(read_timeout_ms=300) as client:
        with handshake(client) as mute:
            mute.settimeout(0.2)
            frame = text_frame(json.dumps({"text": "好" * 600, "inspect": {}}).encode())
            sent = 0
            try:
                for _ in range(2000):
                    mute.sendall(frame)
                    sent += 1
                raise AssertionError("the server read 2,000 frames of a client that reads no answer")
            except OSError:  # no more is taken, or the connection is gone
                assert sent < 2000
            assert is_alive(client)
            mute.settimeout(20)
            assert is_cut_off(mute, frame)
        assert is_alive(client)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x81\xfe\x00",
        b"\x81\xff" + b"\xff" * 8 + bytes(4),
        text_frame(b'{"text": "x"}')[:-3],
        b"\x01" + text_frame(b'{"te')[1:],
        b"\xff" * 64,
        b"\x81\x85" + bytes(4) + b"\xff\xfe\xfd\xfc\xfb",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x89\xfe\xff\xff" + bytes(4),
        b"\x80\x80" + bytes(4),
    ],
)
def test_garbage_and_a_client_that_leaves_in_mid_frame_harm_nobody(server: httpx.Client, garbage: bytes) -> None:
    with handshake(server) as raw:
        raw.sendall(garbage)
    assert is_alive(server)


def test_streams_together_share_batches_and_answer_as_alone(server: httpx.Client) -> None:
    texts = [(TEXT * 3)[n % 13 : 13 + n % 7] for n in range(32)]
    want = [whole(server, text) for text in texts]

    def run(text: str) -> dict[str, Any]:
        with opened(server) as connection:
            for character in text:
                say(connection, text=character)
                last = hear(connection)
            return last

    with ThreadPoolExecutor(32) as pool:
        for frame, expected in zip(pool.map(run, texts), want, strict=True):
            assert frame["timestep"] == expected["tokens"]
            score = frame["results"][0]["labels"][0]["score"]
            assert score == pytest.approx(expected["labels"][0]["score"], abs=1e-6)
