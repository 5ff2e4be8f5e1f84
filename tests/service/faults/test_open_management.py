"""Class: whoever reaches the port, a web page in a browser next to it too, may load and unload models."""

import http.client
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import METHODS, NAME

LOAD, UNLOAD = f"/v2/repository/models/{NAME}/load", f"/v2/repository/models/{NAME}/unload"
CONTROL = (
    LOAD,
    UNLOAD,
    "/v2/repository/index",
    "/v2/repository/models/nobody/load",
    "/v2/repository",
    "/v2/repository/x",
)
SPELLED = (*CONTROL, f"{UNLOAD}/", "/v2/repository/models/x/../y/unload", UNLOAD.replace("unload", "%75nload"))


def ask(client: httpx.Client, method: str, path: str, headers: list[tuple[str, str]]) -> tuple[int, str]:
    """Headers as they stand, a Host twice or not at all too."""
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port or 80, timeout=10)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    connection.putheader("content-length", "0")
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def models(client: httpx.Client) -> list[str]:
    found: list[str] = client.get("/health/ready").json()["models"]
    return found


def test_a_foreign_host_or_origin_is_refused_on_every_path_and_method(folder: Path, serve: Any) -> None:
    with serve(weights_dir=folder, model_control="explicit", cors_origins="https://page.example") as client:
        own = f"{client.base_url.host}:{client.base_url.port}"
        port = client.base_url.port
        foreign = [
            [("host", "evil.example")],
            [("host", f"evil.example:{port}")],
            [("host", "127.0.0.1.evil.example")],
            [("host", "localhost.evil.example")],
            [("host", "evil.example@127.0.0.1")],
            [("host", "10.1.2.3")],
            [("host", "")],
            [("host", own), ("host", "evil.example")],
            [("host", own), ("origin", "https://evil.example")],
            [("host", own), ("origin", "null")],
            [("host", own), ("origin", f"http://{own}.evil.example")],
            [("host", own), ("origin", f"http://127.0.0.1:{(port or 0) + 1}")],
            [("host", own), ("origin", f"http://{own}"), ("origin", "https://evil.example")],
            [("host", own), ("origin", "https://page.example")],  # may ask models, not control them
            [("host", "evil.example"), ("origin", "http://evil.example")],  # what rebinding sends
        ]
        for headers in foreign:
            for path in SPELLED:
                for method in METHODS:
                    status, text = ask(client, method, path, headers)
                    assert status in (400, 403), (method, path, headers, status)
                    assert status == 400 or method == "HEAD" or "GATESCOPE_ALLOWED_HOSTS" in text
        assert models(client) == [NAME]


def test_no_host_at_all_is_refused(folder: Path, serve: Any) -> None:
    with serve(weights_dir=folder, model_control="explicit") as client:
        assert ask(client, "POST", UNLOAD, [])[0] in (400, 403)
        assert models(client) == [NAME]


def test_the_servers_own_names_are_allowed(folder: Path, serve: Any) -> None:
    with serve(weights_dir=folder, model_control="explicit", allowed_hosts="models.internal, other") as client:
        port = client.base_url.port
        for host in (
            "localhost",
            "LOCALHOST",
            f"localhost:{port}",
            f"127.0.0.1:{port}",
            "[::1]:80",
            "models.internal",
            "Other:1",
        ):
            assert ask(client, "POST", LOAD, [("host", host)])[0] == 200, host
            assert ask(client, "POST", LOAD, [("host", host), ("origin", f"http://{host}")])[0] == 200, host


@pytest.mark.parametrize("keys", [{"api_keys": "user"}, {"api_keys": "user", "admin_keys": "chief"}])
def test_without_an_admins_key_no_model_is_loaded_or_unloaded_whatever_the_method(
    folder: Path, serve: Any, keys: dict[str, str]
) -> None:
    with serve(weights_dir=folder, model_control="explicit", **keys) as client:
        for path in SPELLED:
            for method in METHODS:
                key = [("host", "localhost"), ("x-api-key", "user")]
                status, _ = ask(client, method, path, key)
                if "/models/" in path:
                    assert status == 403, (method, path, status)
                assert ask(client, method, path, key[:1])[0] == 401, (method, path)
                assert ask(client, method, path, [*key[:1], ("x-api-key", "chie")])[0] == 401
        assert models(client) == [NAME]
        assert client.post("/v2/repository/index", headers={"x-api-key": "user"}).status_code == 200


def test_an_admins_key_loads_and_unloads(folder: Path, serve: Any) -> None:
    with serve(weights_dir=folder, model_control="explicit", api_keys="user", admin_keys="chief") as client:
        for path, left in ((UNLOAD, []), (LOAD, [NAME])):
            assert client.post(path, headers={"authorization": "Bearer chief"}).status_code == 200
            assert models(client) == left


def test_no_method_but_post_changes_anything(folder: Path, serve: Any) -> None:
    with serve(weights_dir=folder, model_control="explicit") as client:
        for method in METHODS:
            if method != "POST":
                assert ask(client, method, UNLOAD, [("host", "localhost")])[0] in (400, 405), method
        assert models(client) == [NAME]


def test_by_default_nothing_is_controlled_at_run_time(folder: Path, serve: Any) -> None:
    with serve(weights_dir=folder) as client:
        for path in SPELLED:
            for method in METHODS:
                status, _ = ask(client, method, path, [("host", "localhost")])
                assert status in (400, 404, 405, 307) or path.endswith("/index"), (method, path, status)
        assert models(client) == [NAME]
