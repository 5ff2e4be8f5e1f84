"""Request ids on every answer; no text of a user's in any log line."""

import json
import logging
from typing import Any

import httpx
import pytest

from service.telemetry import JsonLines


@pytest.mark.parametrize("path", ["/health/live", "/v1/models/nobody", "/no/such/route"])
def test_a_request_id_is_echoed_or_made(server: httpx.Client, path: str) -> None:
    assert server.get(path, headers={"x-request-id": "abc-123"}).headers["x-request-id"] == "abc-123"
    made = {server.get(path).headers["x-request-id"] for _ in range(2)}
    assert len(made) == 2


def test_a_request_id_that_is_no_token_is_replaced(server: httpx.Client) -> None:
    for bad in ("a b", "x" * 129):
        assert server.get("/health/live", headers={"x-request-id": bad}).headers["x-request-id"] != bad


def test_no_text_of_a_users_is_logged(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    secret = "MyVerySecretSentence"
    with caplog.at_level(logging.DEBUG), serve(access_log=True) as client:
        for body in ({"inputs": secret}, {"inputs": secret, "top_k": 99}, {secret: 1}, {"inputs": [secret, 3]}):
            client.post("/v1/models/tiny-zh-lstm/predict", json=body)
        client.post("/v1/models/tiny-zh-lstm/predict", content=secret.encode())
    logged = " ".join(JsonLines().format(r) for r in caplog.records if not r.name.startswith(("httpx", "httpcore")))
    assert "/v1/models/tiny-zh-lstm/predict" in logged
    assert secret not in logged


def test_a_json_line_is_json_even_with_a_traceback() -> None:
    try:
        raise ValueError('quoted "text"\nand a new line')
    except ValueError:
        import sys

        record = logging.LogRecord("x", logging.ERROR, "f", 1, "said %s", ('a "b"',), sys.exc_info())
    line = JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line)["message"] == 'said a "b"'
    assert "ValueError" in json.loads(line)["traceback"]
