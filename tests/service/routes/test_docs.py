"""/docs works with the network closed: from files, and in a browser that is watched for requests to other hosts."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--enable-logging=stderr",
    "--virtual-time-budget=20000",
    "--dump-dom",
]


def test_the_page_loads_from_this_server_alone(server: httpx.Client) -> None:
    page = server.get("/docs")
    addresses = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert len(addresses) == 4
    for address in addresses:
        assert not urlsplit(address).netloc
        if not address.startswith("data:"):
            asset = server.get(urljoin("/docs", address))
            assert asset.status_code == 200
            assert asset.headers["content-type"].startswith(("text/css", "text/javascript"))
            assert len(asset.content) > 100
    assert server.get("/redoc").status_code == 404


def test_the_page_forbids_every_other_source(server: httpx.Client) -> None:
    for path in ("/docs", "/docs/start.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"):
        headers = server.get(path).headers
        policy = dict(part.split(maxsplit=1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["connect-src"] == "'self'"
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: `apt-get install chromium`")
def test_a_browser_shows_every_operation_and_asks_no_other_host(server: httpx.Client, tmp_path: Path) -> None:
    """--host-resolver-rules closes the network: every name but the server's own address fails."""
    base, log = str(server.base_url).rstrip("/"), tmp_path / "net.json"
    closed = f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {server.base_url.host}"
    command = [str(CHROMIUM), *FLAGS, closed, f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}"]
    done = subprocess.run([*command, f"{base}/docs"], capture_output=True, text=True, timeout=90)
    for path in server.get("/openapi.json").json()["paths"]:
        assert path in done.stdout.replace("\u200b", ""), path  # Swagger UI lets long paths break
    assert "Failed to load" not in done.stdout
    assert "Refused to" not in done.stderr, done.stderr
    assert "Content Security Policy" not in done.stderr, done.stderr
    asked = requested(log, base)
    assert {f"{base}/openapi.json", f"{base}/docs/swagger-ui-bundle.js", f"{base}/docs/swagger-ui.css"} <= asked
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(base).netloc}, asked


def requested(log: Path, page: str) -> set[str]:
    """Every address that the page asked for; what the browser asks for by itself has another initiator."""
    events = (event.get("params", {}) for event in json.loads(log.read_text("utf-8", "replace"))["events"])
    return {params["url"] for params in events if "url" in params and params.get("initiator") == page}
