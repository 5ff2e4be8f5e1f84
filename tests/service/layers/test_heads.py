"""HEAD is GET without the body, on real connections."""

from typing import Any

import httpx
import pytest

from tests.service.figures.test_metrics import asked, key

PATHS = (
    "/",
    "/health/live",
    "/health/ready",
    "/v1/models",
    "/v1/models/tiny-zh-lstm",
    "/v2",
    "/metrics",
    "/openapi.json",
)


@pytest.mark.parametrize("path", PATHS)
def test_it_has_the_head_of_get_and_no_body(server: httpx.Client, path: str) -> None:
    """The connection is good for the next request: a body that was sent after all would be read as its answer."""
    full, head = server.get(path), server.head(path)
    assert (head.status_code, head.content) == (full.status_code, b"")
    varying = {"date", "x-request-id"} | ({"content-length"} if path == "/metrics" else set())
    assert {k: v for k, v in head.headers.items() if k not in varying} == {
        k: v for k, v in full.headers.items() if k not in varying
    }
    assert server.get(path).status_code == full.status_code


@pytest.mark.parametrize(("path", "status"), [("/v1/models/tiny-zh-lstm/predict", 405), ("/v1/models/none", 404)])
def test_what_get_refuses_it_refuses(server: httpx.Client, path: str, status: int) -> None:
    assert (server.head(path).status_code, server.get(path).status_code) == (status, status)


def test_it_is_counted_under_its_route(serve: Any) -> None:
    with serve() as client:
        client.head("/v1/models/tiny-zh-lstm")
        found = asked(client)
    assert found[key("answers_total", route="/v1/models/{name}", status="200", problem="none")] == 1
