"""Fixtures of the page's tests. Without Chromium they are skipped in words, and fail where CHROMIUM names one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from .browsing import Inspector, chromium, shipped_server, started_browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")  # no longer: its event loop would be in the way of other tests
def browser() -> Iterator[Browser]:
    if chromium() is None:
        pytest.skip("the page is NOT tested: no Chromium here (`apt-get install chromium`)")
    with started_browser() as found:
        yield found


@pytest.fixture(scope="package")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with shipped_server(tmp_path_factory.mktemp("shipped")) as client:
        yield client


@pytest.fixture
def tab(browser: Browser) -> Iterator[Callable[..., Inspector]]:
    """``tab(client, width=390)``: a fresh tab; at the end no tab may have complained or asked another host."""
    opened: list[Inspector] = []

    def make(client: httpx.Client, width: int = 1440, height: int = 900, **options: Any) -> Inspector:
        context = browser.new_context(viewport={"width": width, "height": height}, **{"locale": "en-GB", **options})
        context.set_default_timeout(10_000)
        opened.append(Inspector(context.new_page(), client))
        return opened[-1]

    yield make
    for inspector in opened:
        inspector.page.context.close()
    for inspector in opened:
        assert inspector.complaints == []
        assert inspector.requested <= {inspector.client.base_url.netloc.decode()}


@pytest.fixture
def inspector(tab: Callable[..., Inspector], shipped: httpx.Client) -> Inspector:
    return tab(shipped)
