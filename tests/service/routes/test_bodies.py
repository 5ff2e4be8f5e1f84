"""What comes from outside is bounded, and what is wrong with it is said in one sentence."""

import json
from typing import Any

import httpx
import pytest

PREDICT = "/v1/models/tiny-zh-lstm/predict"
JSON = {"content-type": "application/json"}


def refused(response: httpx.Response, status: int, says: str = "") -> dict[str, Any]:
    body = response.json()
    assert response.status_code == status, body
    assert response.headers["content-type"] == "application/problem+json"
    assert says in body["detail"], body["detail"]
    return body


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"  ",
        b"{",
        b'{"inputs": NaN}',
        b'{"inputs": "x", "top_k": Infinity}',
        b'{"inputs": "\xff\xfe"}',
        b'{"inputs": "\\ud800"}',
        b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"\xef\xbb\xbf{}x",
    ],
    ids=["empty", "blank", "cut", "nan", "infinity", "not utf-8", "lone surrogate", "deep", "garbage"],
)
def test_what_is_not_json_is_400(server: httpx.Client, raw: bytes) -> None:
    assert refused(server.post(PREDICT, content=raw, headers=JSON), 400)["error_type"] == "malformed_body"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "inputs"),
        ([], "object"),
        ("text", "object"),
        ({"inputs": ""}, "no token"),
        ({"inputs": " \n\u3000"}, "no token"),
        ({"inputs": []}, "empty list"),
        ({"inputs": ["", "x"]}, "text 0"),
        ({"inputs": 5}, "string"),
        ({"inputs": None}, "string"),
        ({"inputs": ["x", 3]}, "element 1"),
        ({"inputs": "x", "tpo_k": 1}, "tpo_k"),
        ({"inputs": "x", "top_k": 0}, "top_k"),
        ({"inputs": "x", "top_k": 99}, "99"),
        ({"inputs": "x", "top_k": "many"}, "many"),
        ({"inputs": "x", "top_k": True}, "top_k"),
        ({"inputs": "x", "top_k": 1.0}, "top_k"),
        ({"inputs": "x", "offset_unit": "bytes"}, "offset_unit"),
        ({"inputs": "x", "inspect": {"offset_unit": "utf16"}}, "offset_unit"),
        ({"inputs": "x", "inspect": {"tensors": ["gate"]}}, "'gate'"),
        ({"inputs": "x", "inspect": {"tensors": ["forget_gate"] * 2}}, "twice"),
        ({"inputs": "x", "inspect": {"encoding": "pickle"}}, "encoding"),
        ({"inputs": "x", "inspect": {"decimals": 10}}, "decimals"),
        ({"inputs": "x", "inspect": {"select": {"units": [0, 0]}}}, "twice"),
        ({"inputs": "x", "inspect": {"select": {"units": [999]}}}, "999"),
        ({"inputs": "x", "inspect": {"select": {"timesteps": {"start": 1}}}}, "1"),
        ({"inputs": "x", "inspect": {"select": {"timesteps": {"start": 5, "stop": 2}}}}, "stop"),
        ({"inputs": "x", "inspect": {"select": {"directions": ["reverse"]}}}, "reverse"),
        ({"inputs": "x", "inspect": {"tensors": ["hidden_state"], "reduce": ["half_life"]}}, "forget_gate"),
        ({"inputs": "x", "inspect": {"token_scores": True}}, "NER"),
    ],
    ids=str,
)
def test_what_is_not_valid_is_422_and_says_what(server: httpx.Client, body: Any, says: str) -> None:
    refused(server.post(PREDICT, json=body), 422, says)


def test_an_option_of_the_other_task_is_422(server: httpx.Client) -> None:
    refused(server.post("/v1/models/tiny-zh-ner-lstm/predict", json={"inputs": "x", "top_k": 1}), 422, "classifiers")
    ask = {"inputs": "x", "prefix_predictions": True}
    refused(server.post("/v1/models/tiny-zh-ner-lstm/inspect", json=ask), 422, "classifiers")


def test_a_gate_of_an_rnn_is_422_that_lists_what_it_has(server: httpx.Client) -> None:
    ask = {"inputs": "x", "tensors": ["forget_gate"]}
    refused(server.post("/v1/models/tiny-zh-rnn/inspect", json=ask), 422, "hidden_state")


def test_a_body_that_is_not_said_to_be_json_is_415_and_says_how(server: httpx.Client) -> None:
    for kind in ("application/xml", "application/x-www-form-urlencoded", "text/plain"):
        response = server.post(PREDICT, content=b'{"inputs": "x"}', headers={"content-type": kind})
        refused(response, 415, "-H 'content-type: application/json'")


def test_json_with_a_charset_or_without_a_content_type_is_taken(server: httpx.Client) -> None:
    for headers in ({"content-type": "application/json; charset=utf-8"}, {}):
        request = httpx.Request(
            "POST", f"{str(server.base_url).rstrip('/')}{PREDICT}", content=b'{"inputs": "x"}', headers=headers
        )
        assert server.send(request).status_code == 200


def test_a_large_body_is_413_that_the_client_can_read(serve: Any) -> None:
    with serve(max_body_bytes=1000) as client:
        for size in (1001, 3000, 100_000):
            body = json.dumps({"inputs": "x" * size}).encode()
            refused(client.post(PREDICT, content=body, headers=JSON), 413, "1000")
        assert client.post(PREDICT, json={"inputs": "x"}).status_code == 200


def test_too_long_texts_and_batches_name_the_limit(server: httpx.Client) -> None:
    model = server.get("/v1/models/tiny-zh-lstm").json()
    long = refused(
        server.post(PREDICT, json={"inputs": "字" * (model["max_tokens"] + 1)}), 422, str(model["max_tokens"])
    )
    assert long["error_type"] == "too_many_tokens"
    wide = refused(server.post(PREDICT, json={"inputs": " " * (model["max_characters"] + 1)}), 422, "characters")
    assert wide["error_type"] == "too_many_characters"
    refused(server.post(PREDICT, json={"inputs": ["x"] * 257}), 413, "256")


def test_an_accept_that_cannot_be_met_is_406(server: httpx.Client) -> None:
    response = server.post(PREDICT, json={"inputs": "x"}, headers={"accept": "text/html"})
    refused(response, 406, "application/json")
    for fine in ("*/*", "application/*", "text/html;q=0.9, application/json;q=0.1"):
        assert server.post(PREDICT, json={"inputs": "x"}, headers={"accept": fine}).status_code == 200


def test_the_server_is_alive_after_all_of_it(server: httpx.Client) -> None:
    assert server.post(PREDICT, json={"inputs": "still alive"}).status_code == 200
