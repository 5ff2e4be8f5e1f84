"""The servers suite: its texts, its counts, its comparisons. No time is asserted."""

import asyncio
import contextlib
import os
import statistics
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import servers
from bench.load import Connection, answer_length, load, request
from bench.peers.client import Writer
from bench.peers.equal import OutputsDiffer, largest_difference, scores, scores_of
from bench.peers.processes import ServerFailed, _marked, running
from bench.peers.table import BF16, HOST, OURS, PEERS, Contender, known, ours
from models.text.tokenizers import TOKENIZERS

MODEL = Path("weights/zh-sentiment-lstm")


@pytest.fixture(scope="module")
def writer() -> Writer:
    return Writer.for_model(MODEL)


def test_texts_never_repeat_in_a_run(writer: Writer) -> None:
    texts = writer.usual(20_000, seed=1)
    assert len(set(texts)) == len(texts)
    assert not set(texts) & set(writer.usual(20_000, seed=2))


def test_texts_are_as_long_as_people_write(writer: Writer) -> None:
    tokens = [len(TOKENIZERS["mixed"](text)) for text in writer.usual(5000, seed=1)]
    assert min(tokens) >= 5
    assert max(tokens) <= 60
    assert 19 <= statistics.median(tokens) <= 22


def test_long_texts_have_the_tokens_that_were_asked_for(writer: Writer) -> None:
    assert {len(TOKENIZERS["mixed"](text)) for text in writer.long(5, 2000, seed=1)} == {2000}


class Counting(asyncio.Protocol):
    """A server that answers every request, each third one with a 500, and counts."""

    answered = failed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.received = transport, bytearray()

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (length := answer_length(self.received)) and len(self.received) >= length:
            del self.received[:length]
            Counting.answered += 1
            status = b"500 Sorry" if Counting.answered % 3 == 0 else b"200 OK"
            Counting.failed += status != b"200 OK"
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n")
            self.transport.write(b"{}")  # an answer may come in parts


@pytest.fixture
def counting() -> Iterator[int]:
    """The port of a `Counting` server on a thread of its own."""
    Counting.answered = Counting.failed = 0
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(Counting, HOST, 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    loop.close()


def test_the_load_counts_what_was_answered_and_what_failed(counting: int) -> None:
    result = load(HOST, counting, [request(HOST, counting, "/", b"{}")], connections=3, warm_s=0.0, seconds=0.3)
    in_flight = 3  # one request of each connection when the clock stops
    assert 0 <= Counting.answered - result.answered <= in_flight
    assert 0 <= Counting.failed - result.failed <= in_flight
    assert result.answered == len(result.latencies) <= result.sent <= result.answered + in_flight
    assert result.latencies == sorted(result.latencies)
    assert result.failed > 0


def test_answers_of_the_warm_up_are_not_counted(counting: int) -> None:
    result = load(HOST, counting, [request(HOST, counting, "/", b"{}")], connections=1, warm_s=0.2, seconds=0.2)
    assert result.answered + 5 < result.sent


def test_a_pause_makes_a_load_a_sample(counting: int) -> None:
    requests = [request(HOST, counting, "/", method="GET")]
    result = load(HOST, counting, requests, connections=1, warm_s=0.0, seconds=0.3, pause_s=0.05)
    assert 1 <= result.sent <= 6


def test_a_server_that_closes_counts_as_failed() -> None:
    loop = asyncio.new_event_loop()
    closing = loop.run_until_complete(loop.create_server(_Closing, HOST, 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    port = closing.sockets[0].getsockname()[1]
    result = load(HOST, port, [request(HOST, port, "/")], connections=2, warm_s=0.0, seconds=0.1)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    closing.close()
    loop.close()
    assert (result.answered, result.failed) == (0, 2)
    with pytest.raises(ValueError, match="nothing was answered"):
        result.percentile(0.5)


class _Closing(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.close()


def test_one_connection_keeps_status_and_body(counting: int) -> None:
    with Connection(HOST, counting) as connection:
        answers = [connection.ask(request(HOST, counting, "/", b"{}")) for _ in range(3)]
    assert answers == [(200, b"{}"), (200, b"{}"), (500, b"{}")]


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that runs half as fast in the second round changes no ratio."""
    speeds = {"ours": [4000.0, 2000.0, 6000.0], "noop": [8000.0, 4000.0, 8000.0]}
    assert servers._ratios(speeds)["ratios"] == {"ours/noop": {"median": 0.5, "low": 0.5, "high": 0.75}}


def test_a_peers_best_configuration_is_the_faster_median() -> None:
    speeds = {"ours": [9.0] * 3, "ray-torch": [1.0, 5.0, 1.0], "ray-fused": [2.0, 2.0, 2.0], "bentoml-torch": [3.0] * 3}
    assert servers._ratios(speeds)["best"] == {"ray": "ray-fused", "bentoml": "bentoml-torch"}


def test_a_busy_client_and_failures_are_told() -> None:
    fine = {"client_cpu": 0.3, "failed": 0, "texts_repeat": False}
    busy, failing = {**fine, "client_cpu": 0.99}, {**fine, "failed": 7}
    notes = servers._notes({"ours": [fine, fine], "noop": [busy], "ray-torch": [failing]})
    assert [note for note in notes if "core alone" not in note] == [
        "noop: the client was busy for 99%, so it is the client that was measured",
        "ray-torch: 7 requests failed",
    ]


def test_every_spelling_of_an_answer_is_read_alike() -> None:
    answer = b'{"labels": [{"label": "a", "score": 0.75}, {"label": "b", "score": 0.25}]}'
    for body in (answer, b"[" + answer + b"]", b'{"model": {}, "results": [' + answer + b"]}"):
        assert scores(body) == {"a": 0.75, "b": 0.25}


def test_unequal_outputs_are_an_error_and_bfloat16s_are_told() -> None:
    reference = [{"a": 0.75, "b": 0.25}]
    assert largest_difference("plain-torch", [{"a": 0.75005, "b": 0.24995}], reference) == pytest.approx(5e-5)
    with pytest.raises(OutputsDiffer, match=r"plain-torch differs from ours by 1\.0e-03 in a score"):
        largest_difference("plain-torch", [{"a": 0.751, "b": 0.249}], reference)
    assert largest_difference(BF16, [{"a": 0.751, "b": 0.249}], reference) == pytest.approx(1e-3)
    with pytest.raises(OutputsDiffer, match="names the label of ours for 0 of 1 texts"):
        largest_difference(BF16, [{"a": 0.25, "b": 0.75}], reference)


def test_every_peer_is_pinned_and_has_the_torch_of_ours() -> None:
    assert {contender.peer for contender in known().values()} - {None} == set(PEERS)
    torch = next(line for line in Path("requirements/torch.txt").read_text().splitlines() if line.startswith("torch=="))
    for peer in PEERS:
        lines = Path(f"bench/requirements/{peer}.txt").read_text().splitlines()
        assert torch in lines
        assert all("==" in line and "/" not in line for line in lines)


def test_a_server_that_does_not_start_is_one_sentence() -> None:
    with pytest.raises(ServerFailed, match=r"^broken ended: read build/bench/broken\.log$"):
        contextlib.ExitStack().enter_context(running(Contender("broken", ("-m", "bench.peers.nothing"))))


def test_plain_and_ours_give_equal_outputs_and_leave_nothing_behind(writer: Writer) -> None:
    found = {}
    for contender in (ours(OURS, MODEL), known(MODEL)["plain-torch"]):
        with running(contender) as server:
            mark = _mark_of(server.pid)
            found[contender.name] = scores_of(server, writer.usual(8, seed=3))
        assert not _marked(mark)
    assert largest_difference("plain-torch", found["plain-torch"], found[OURS]) < 1e-4


def _mark_of(pid: int) -> str:
    environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next(os.fsdecode(entry) for entry in environ if entry.startswith(b"BENCH_MARK=")).partition("=")[2]
