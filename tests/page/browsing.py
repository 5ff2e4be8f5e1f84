"""A real Chromium on a real server of the shipped models; and what the page's tests and pictures share."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import matplotlib
from playwright.sync_api import Browser, Page, Request, Route, sync_playwright

from service.settings import Settings
from tests.service.conftest import running

ROOT = Path(__file__).parents[2]
MODELS = (
    "zh-sentiment-rnn",
    "zh-sentiment-lstm",
    "en-sentiment-rnn",
    "en-sentiment-lstm",
    "en-sentiment-bilstm",
    "zh-news-bilstm",
)
TAGGERS = ("zh-ner-rnn", "zh-ner-lstm", "en-ner-bilstm")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    *("--font-render-hinting=none", "--disable-lcd-text", "--hide-scrollbars"),
)
# the same letters on every machine: matplotlib's, and Chinese ones of the package's own subset
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
<dir>{own}</dir><dir>{matplotlib}</dir><cachedir>{cache}</cachedir>
{aliases}</fontconfig>
"""
ALIAS = """<match target="pattern"><test name="family"><string>{family}</string></test>
<edit name="family" mode="prepend" binding="strong"><string>DejaVu Sans</string><string>WenQuanYi Micro Hei</string></edit></match>
"""


def chromium() -> str | None:
    """The browser: CHROMIUM where it is set, else what is installed."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@contextlib.contextmanager
def shipped_server(folder: Path, **settings: Any) -> Iterator[httpx.Client]:
    """A server of the models that the page's tests look at."""
    for name in (*MODELS, *TAGGERS):
        (folder / name).symlink_to(ROOT / "weights" / name)
    with running(Settings(weights_dir=folder, device="cpu", **settings)) as client:
        yield client


@contextlib.contextmanager
def started_browser() -> Iterator[Browser]:
    """Chromium with a profile of its own and with fonts that do not depend on the machine."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        fonts = Path(folder) / "fonts.conf"
        fonts.write_text(
            FONTS.format(
                own=ROOT / "service/pictures/fonts",
                matplotlib=Path(matplotlib.get_data_path()) / "fonts/ttf",
                cache=Path(folder) / "cache",
                aliases="".join(ALIAS.format(family=name) for name in ("Inter", "system-ui", "sans-serif")),
            )
        )
        environment: dict[str, str | float | bool] = {**os.environ, "FONTCONFIG_FILE": str(fonts)}
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS), env=environment)
        yield browser
        browser.close()


class Inspector:
    """The page in one tab: opened at a permalink, asked as a person would."""

    def __init__(self, page: Page, client: httpx.Client) -> None:
        self.page, self.client = page, client
        self.base = str(client.base_url).rstrip("/")
        self.complaints: list[str] = []
        self.requested: set[str] = set()
        self.answers: list[Any] = []
        page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")):
            self.requested.add(urlsplit(request.url).netloc)

    def open(self, **state: Any) -> "Inspector":
        """At a permalink; `lang=en` unless said otherwise."""
        self.page.goto(f"{self.base}/#{urlencode({'lang': 'en', **state})}")
        return self.settled()

    def settled(self) -> "Inspector":
        """When the answer to the last question has been drawn."""
        self.page.wait_for_timeout(80)
        self.page.wait_for_selector("#main[aria-busy=false]", timeout=30_000)
        self.page.wait_for_timeout(30)
        return self

    def type(self, text: str) -> "Inspector":
        self.page.fill("#text", "")
        self.page.type("#text", text, delay=3)
        return self.settled()

    def scores(self, part: int = 0) -> dict[str, str]:
        """label -> its score as it is written."""
        rows = self.page.locator("#answer > div").nth(part).locator(".label")
        return {row.get_attribute("data-label") or "": row.locator(".number").last.inner_text() for row in rows.all()}

    def step(self) -> int:
        return int(self.page.input_value("#step"))

    def ask(self, path: str, **body: Any) -> Any:
        """The API's own answer, asked past the page."""
        response = self.client.post(f"/v1/{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def answer_instead(self, pattern: str, status: int, body: str, headers: dict[str, str], times: int = 1) -> None:
        """The next requests of an address get this answer in place of the server's."""

        def fulfil(route: Route) -> None:
            route.fulfill(status=status, body=body, headers={"content-type": "application/problem+json", **headers})

        self.page.route(pattern, fulfil, times=times)
