"""The tiny models behind a real server, as for the service's own tests."""

from collections.abc import Iterator

import httpx
import pytest

from gatescope import Client
from tests.service.conftest import server

__all__ = ["server"]


@pytest.fixture
def client(server: httpx.Client) -> Iterator[Client]:
    with Client(str(server.base_url)) as found:
        yield found
