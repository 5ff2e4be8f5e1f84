"""Without a valid key nothing is answered, whatever the route, its method or its spelling."""

import http.client
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Route

from service.app import create_app
from service.errors import StartupError
from service.layers.keys import OPEN, OPEN_BELOW, KeyRing, Keys
from service.settings import Settings

PREDICT = "/v1/models/tiny-zh-lstm/predict"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY")


def paths(routes: list[BaseRoute]) -> set[str]:
    """Every path of the app, those of included routers too."""
    found = set()
    for route in routes:
        if isinstance(route, APIRoute | Route):
            found.add(route.path)
        inner = getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", None)
        if inner:
            found |= paths(inner)
    return found


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_every_route_and_method_asks_for_a_key(weights_dir: Path, serve: Any) -> None:
    """Also paths that are no route: who has no key learns nothing of what there is."""
    settings = Settings(weights_dir=weights_dir, device="cpu")
    every = paths(create_app(settings).routes) | set(create_app(settings).openapi()["paths"])
    assert len(every) > 35
    assert PREDICT.replace("tiny-zh-lstm", "{name}") in every
    assert {"/docs", "/openapi.json", "/info", "/v2/models/{name}/infer"} <= every
    spelled = {p.replace("{name}", "tiny-zh-lstm").replace("{layer}", "0").replace("{unit}", "0") for p in every}
    spelled |= {"/no/such/route", "//", "/health/live/", "/health//live", "/HEALTH", "/%2568ealth", "/v1/models/", "*"}
    with serve(api_keys="good") as client:
        connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port or 80, timeout=10)
        for path in sorted(spelled):
            for method in METHODS:
                connection.request(method, path, headers={"connection": "keep-alive"})
                answer = connection.getresponse()
                answer.read()
                if method == "CONNECT" or answer.status == 400:  # not a request that reaches any route
                    connection.close()
                    continue
                is_open = (path in OPEN or path.startswith(OPEN_BELOW)) and method in ("GET", "HEAD")
                assert (answer.status == 401) != is_open, (method, path, answer.status)


def test_a_path_that_only_decodes_to_a_probe_is_that_probe_and_nothing_else(serve: Any) -> None:
    with serve(api_keys="good") as client:
        for path, status in (("/%68ealth", 200), ("/health/%2e%2e/v1/models", 401), ("/health;/../v1/models", 401)):
            connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port or 80, timeout=10)
            connection.request("GET", path)
            assert connection.getresponse().status == status, path


@pytest.mark.parametrize("headers", [bearer("good"), {"authorization": "bearer  good"}, {"x-api-key": "good"}])
def test_a_key_is_taken_as_bearer_or_as_x_api_key(serve: Any, headers: dict[str, str]) -> None:
    with serve(api_keys="other, good") as client:
        assert client.post(PREDICT, json={"inputs": "x"}, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        bearer("goo"),
        bearer("goods"),
        bearer("other,good"),
        {"authorization": "Basic good"},
        {"authorization": "good"},
        {"x-api-key": ""},
        {"cookie": "x-api-key=good"},
    ],
)
def test_anything_else_is_401_that_says_how(serve: Any, headers: dict[str, str]) -> None:
    with serve(api_keys="other,good") as client:
        answer = client.post(f"{PREDICT}?x-api-key=good&key=good", json={"inputs": "x"}, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["error_type"] == "unauthorized"
        assert "Authorization: Bearer" in answer.json()["detail"]


def test_keys_are_exchanged_without_a_restart_and_a_bad_file_locks_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.layers.keys._LOOK_AGAIN_S", 0.0)
    file = tmp_path / "keys"

    def write(content: str) -> None:
        (tmp_path / "new").write_text(content)
        os.replace(tmp_path / "new", file)

    write("first\nsecond\n")
    ring = KeyRing(Settings(api_keys_file=file, admin_keys="chief"))
    roles = lambda: [ring.role(key) for key in (b"first", b"second", b"third", b"chief")]  # noqa: E731
    assert roles() == ["user", "user", None, "admin"]
    write("second\nthird\n")
    assert roles() == [None, "user", "user", "admin"]
    for nothing in ("", "\n \n"):
        write(nothing)
        assert roles() == [None, "user", "user", "admin"]
    file.unlink()
    assert roles() == [None, "user", "user", "admin"]
    write("first")
    assert roles() == ["user", None, None, "admin"]


@pytest.mark.parametrize("content", [None, "", b"\xff\xfe"])
def test_a_file_of_keys_without_a_key_stops_the_start(tmp_path: Path, content: Any) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content or b"")
    with pytest.raises(StartupError, match="file of keys"):
        KeyRing(Settings(api_keys_file=file))


def test_no_key_is_ever_logged_or_shown(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"), serve(api_keys="TopSecret", access_log=True) as client:
        found = client.get("/info", headers=bearer("TopSecret"))
        client.get("/info", headers=bearer("NearlySecret"))
    assert found.status_code == 200
    service_lines = " ".join(r.getMessage() for r in caplog.records if not r.name.startswith("http"))
    assert "TopSecret" not in found.text + service_lines
    assert "NearlySecret" not in service_lines
    assert "TopSecret" not in repr(Settings(api_keys="TopSecret"))


@pytest.mark.parametrize(
    ("offered", "enters"), [([], False), (["gatescope.key.bad"], False), (["x", "gatescope.key.good"], True)]
)
def test_a_websocket_brings_its_key_as_a_subprotocol(offered: list[str], enters: bool) -> None:
    import asyncio

    entered, sent = [], []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        entered.append(scope["path"])

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def receive() -> Any:
        raise AssertionError("nothing is read of a client without a key")

    scope = {"type": "websocket", "path": "/", "query_string": b"key=good", "headers": [], "subprotocols": offered}
    asyncio.run(Keys(app, KeyRing(Settings(api_keys="good")))(scope, receive, send))
    assert (bool(entered), sent) == (enters, [] if enters else ["websocket.close"])


def test_without_keys_everything_is_open(server: httpx.Client) -> None:
    assert server.post(PREDICT, json={"inputs": "x"}).status_code == 200


def test_other_web_pages_may_ask_only_where_that_is_set(serve: Any, server: httpx.Client) -> None:
    asks = {"origin": "https://page.example", "access-control-request-method": "POST"}
    allowed = "access-control-allow-origin"
    assert allowed not in server.post(PREDICT, json={"inputs": "x"}, headers={"origin": asks["origin"]}).headers
    assert server.options(PREDICT, headers=asks).status_code == 405
    with serve(cors_origins="https://page.example", api_keys="good") as client:
        assert client.options(PREDICT, headers=asks).headers[allowed] == "https://page.example"
        refused = client.post(PREDICT, json={"inputs": "x"}, headers={"origin": asks["origin"]})
        assert (refused.status_code, refused.headers[allowed]) == (401, "https://page.example")
        foreign = client.options(PREDICT, headers={**asks, "origin": "https://foreign.example"})
        assert allowed not in foreign.headers


@pytest.mark.parametrize("path", ["/health/live", "/v1/models", "/no/such/route", "/v1/models/nobody"])
def test_every_answer_has_the_security_headers(server: httpx.Client, path: str) -> None:
    headers = server.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
