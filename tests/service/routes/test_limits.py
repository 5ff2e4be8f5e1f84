"""Every limit on a request: what stands at its edge is answered, and one more is refused by the limit's name."""

import asyncio
import gzip
import json
import threading
import zlib
from typing import Any

import httpx
import pytest

from models.inference.predictor import Predictor

PREDICT = "/v1/models/tiny-zh-lstm/predict"
INSPECT = "/v1/models/tiny-zh-lstm/inspect"
JSON = {"content-type": "application/json"}


def body_of(size: int) -> bytes:
    """A request of exactly `size` bytes."""
    text = json.dumps({"inputs": "x"}).encode()
    return text[:-1] + b" " * (size - len(text)) + b"}"


def refused(response: httpx.Response, status: int, says: str) -> None:
    assert response.status_code == status, response.text
    assert says in response.json()["detail"]


def test_a_body_at_the_limit_is_read_and_one_byte_more_is_413(serve: Any) -> None:
    with serve(max_body_bytes=1000) as client:
        assert client.post(PREDICT, content=body_of(1000), headers=JSON).status_code == 200
        refused(client.post(PREDICT, content=body_of(1001), headers=JSON), 413, "GATESCOPE_MAX_BODY_BYTES")


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_an_inflated_body_has_the_same_limit(serve: Any, encoding: str, compress: Any) -> None:
    headers = {**JSON, "content-encoding": encoding}
    with serve(max_body_bytes=1000) as client:
        assert client.post(PREDICT, content=compress(body_of(1000)), headers=headers).status_code == 200
        refused(client.post(PREDICT, content=compress(body_of(1001)), headers=headers), 413, "1000 bytes")


def test_a_gzip_bomb_is_413_and_never_inflated(serve: Any) -> None:
    """200 MB of blanks in 200 kB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join([packer.compress(b" " * 1_000_000) for _ in range(200)]) + packer.flush()
    with serve() as client:
        before = client.get("/health/live").status_code
        answer = client.post(PREDICT, content=bomb, headers={**JSON, "content-encoding": "gzip"}, timeout=5)
        refused(answer, 413, "GATESCOPE_MAX_BODY_BYTES")
        assert client.get("/health/live").status_code == before == 200


@pytest.mark.parametrize(
    "body", [b"no gzip", gzip.compress(b'{"inputs": "x"}')[:-3], gzip.compress(b'{"inputs": "x"}') + b"more"]
)
def test_a_body_that_cannot_be_inflated_is_415(server: httpx.Client, body: bytes) -> None:
    refused(server.post(PREDICT, content=body, headers={**JSON, "content-encoding": "gzip"}), 415, "gzip")


def test_an_encoding_that_is_not_known_is_415_and_names_those_that_are(server: httpx.Client) -> None:
    refused(server.post(PREDICT, content=b"x", headers={**JSON, "content-encoding": "br"}), 415, "gzip or deflate")


def test_json_at_the_depth_limit_is_read_and_one_level_more_is_400(serve: Any) -> None:
    with serve(max_json_depth=5) as client:
        for depth, status in ((5, 422), (6, 400)):  # 422: well-formed, and not what the field takes
            nested = b'{"inputs": "[[[[[[[[", "x": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
            answer = client.post(PREDICT, content=nested, headers=JSON)
            assert answer.status_code == status, answer.text
        refused(answer, 400, "GATESCOPE_MAX_JSON_DEPTH")


def test_as_many_texts_as_allowed_and_not_one_more(serve: Any) -> None:
    with serve(max_batch_texts=3) as client:
        assert len(client.post(PREDICT, json={"inputs": ["x"] * 3}).json()["results"]) == 3
        refused(client.post(PREDICT, json={"inputs": ["x"] * 4}), 413, "GATESCOPE_MAX_BATCH_TEXTS")


def test_as_many_characters_as_allowed_and_not_one_more(serve: Any) -> None:
    with serve(max_request_characters=10) as client:
        assert client.post(PREDICT, json={"inputs": ["字" * 5] * 2}).status_code == 200
        refused(client.post(PREDICT, json={"inputs": ["字" * 5, "字" * 6]}), 413, "GATESCOPE_MAX_REQUEST_CHARACTERS")


def test_as_many_tokens_as_allowed_and_not_one_more(serve: Any) -> None:
    with serve(max_request_tokens=10) as client:
        assert client.post(PREDICT, json={"inputs": ["字" * 5] * 2}).status_code == 200
        refused(client.post(PREDICT, json={"inputs": ["字" * 5, "字" * 6]}), 413, "GATESCOPE_MAX_REQUEST_TOKENS")


def test_what_the_queue_could_never_hold_is_413(serve: Any) -> None:
    with serve(max_queue_tokens=10) as client:
        assert client.post(PREDICT, json={"inputs": "字" * 10}).status_code == 200
        refused(client.post(PREDICT, json={"inputs": "字" * 11}), 413, "GATESCOPE_MAX_QUEUE_TOKENS")


def test_an_answer_at_the_limit_is_sent_and_a_larger_one_is_413_that_says_what_fits(serve: Any) -> None:
    ask = {"inputs": "字" * 10, "tensors": ["hidden_state"], "encoding": "base64"}
    binary = {"accept": "application/vnd.safetensors"}
    with serve(max_answer_bytes=10 * 7 * 4) as client:  # 10 tokens, 7 units, 4 bytes
        assert client.post(INSPECT, json=ask, headers=binary).status_code == 200
        refused(client.post(INSPECT, json=ask), 413, "application/vnd.safetensors")
        refused(
            client.post(INSPECT, json={**ask, "inputs": "字" * 11}, headers=binary), 413, "GATESCOPE_MAX_ANSWER_BYTES"
        )


def test_what_a_full_queue_refuses_is_not_read_before(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading costs as much as a small model's answer: a server that reads what it refuses answers half under overload."""
    held, run, prepare = threading.Event(), Predictor.run, Predictor.prepare
    prepared: list[int] = []

    def held_run(predictor: Predictor, texts: Any, plan: Any = None) -> Any:
        held.wait(20)
        return run(predictor, texts, plan)

    def noted_prepare(predictor: Predictor, text: str, index: int | None = None) -> Any:
        prepared.append(len(text))
        return prepare(predictor, text, index)

    with serve(max_queue_tokens=1000, max_request_tokens=1000) as client:
        monkeypatch.setattr(Predictor, "run", held_run)
        monkeypatch.setattr(Predictor, "prepare", noted_prepare)

        async def scenario() -> list[httpx.Response]:
            async with httpx.AsyncClient(base_url=client.base_url, trust_env=False, timeout=30) as asking:
                waiting = [
                    asyncio.create_task(asking.post(INSPECT, json={"inputs": "字" * size, "reduce": ["mean"]}))
                    for size in (550, 350)
                ]
                while len(prepared) < 2:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.1)
                full = await asking.post(PREDICT, json={"inputs": "字" * 101})
                fits = asyncio.create_task(asking.post(PREDICT, json={"inputs": "字" * 100}))
                while 100 not in prepared:
                    await asyncio.sleep(0.01)
                held.set()
                return [full, await fits, *[await each for each in waiting]]

        full, *others = asyncio.run(asyncio.wait_for(scenario(), 30))
    refused(full, 429, "at most 1000 may")
    assert full.json()["retry_after_ms"] >= 1
    assert [each.status_code for each in others] == [200] * 3
    assert 101 not in prepared


def test_as_many_requests_wait_as_allowed_and_one_more_is_429(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held, run = threading.Event(), Predictor.run

    def held_run(predictor: Predictor, texts: Any, plan: Any = None) -> Any:
        held.wait(20)
        return run(predictor, texts, plan)

    with serve(max_queue_requests=2) as client:
        monkeypatch.setattr(Predictor, "run", held_run)

        async def scenario() -> list[httpx.Response]:
            async with httpx.AsyncClient(base_url=client.base_url, trust_env=False, timeout=30) as asking:
                ask = {"inputs": "字" * 500, "reduce": ["mean"]}
                waiting = [asyncio.create_task(asking.post(INSPECT, json=ask)) for _ in range(2)]
                while "gatescope_queue_tokens 1000.0" not in (await asking.get("/metrics")).text:
                    await asyncio.sleep(0.01)
                third = await asking.post(INSPECT, json=ask)
                held.set()
                return [third, *[await each for each in waiting]]

        third, *others = asyncio.run(asyncio.wait_for(scenario(), 30))
    refused(third, 429, "2 requests are waiting and at most 2 may")
    assert [each.status_code for each in others] == [200] * 2


@pytest.mark.parametrize("value", ["0", "-5", "1.5", "soon", "1001", "9" * 40, ""])
def test_a_deadline_that_is_not_allowed_is_422_and_says_which_are(serve: Any, value: str) -> None:
    with serve(deadline_ms=1000) as client:
        answer = client.post(PREDICT, json={"inputs": "x"}, headers={"x-deadline-ms": value})
        refused(answer, 422, "from 1 to 1000")
        assert client.post(PREDICT, json={"inputs": "x"}, headers={"x-deadline-ms": "1000"}).status_code == 200


def test_a_full_queue_is_429_with_the_time_in_header_and_body_and_a_passed_deadline_is_504(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request holds the model; the next waits, past its own deadline; the third finds no room."""
    held, run = threading.Event(), Predictor.run

    def held_run(predictor: Predictor, texts: Any, plan: Any = None) -> Any:
        if plan is not None:
            held.wait(20)
        return run(predictor, texts, plan)

    with serve(max_queue_tokens=1000, max_request_tokens=1000) as client:
        monkeypatch.setattr(Predictor, "run", held_run)

        async def scenario() -> list[httpx.Response]:
            async with httpx.AsyncClient(base_url=client.base_url, trust_env=False, timeout=30) as asking:
                holds = asyncio.create_task(asking.post(INSPECT, json={"inputs": "字" * 500, "reduce": ["mean"]}))
                await asyncio.sleep(0.2)
                late = await asking.post(PREDICT, json={"inputs": "字"}, headers={"x-deadline-ms": "50"})
                full = await asking.post(PREDICT, json={"inputs": "字" * 501})
                held.set()
                return [late, full, await holds]

        late, full, answered = asyncio.run(asyncio.wait_for(scenario(), 30))
    refused(late, 504, "50 ms")
    refused(full, 429, "500 tokens are waiting and at most 1000 may")
    wait_ms = full.json()["retry_after_ms"]
    assert wait_ms >= 1
    assert int(full.headers["retry-after"]) == max(1, -(-wait_ms // 1000))
    assert answered.status_code == 200


def test_what_a_client_left_behind_is_never_computed(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held, run, computed = threading.Event(), Predictor.run, []

    def noted_run(predictor: Predictor, texts: Any, plan: Any = None) -> Any:
        computed.append(len(texts[0]))
        if len(texts[0]) == 500:
            held.wait(20)
        return run(predictor, texts, plan)

    async def scenario(client: httpx.Client) -> None:
        async with httpx.AsyncClient(base_url=client.base_url, trust_env=False, timeout=30) as asking:
            holds = asyncio.create_task(asking.post(INSPECT, json={"inputs": "字" * 500, "reduce": ["mean"]}))
            await asyncio.sleep(0.2)
            with pytest.raises(httpx.ReadTimeout):
                await asking.post(PREDICT, json={"inputs": "字" * 77}, timeout=0.2)
            stays = asyncio.create_task(asking.post(PREDICT, json={"inputs": "字" * 33}))
            await asyncio.sleep(0.2)
            held.set()
            assert (await stays).status_code == (await holds).status_code == 200

    with serve() as client:
        monkeypatch.setattr(Predictor, "run", noted_run)
        asyncio.run(scenario(client))
    assert computed == [500, 33]
