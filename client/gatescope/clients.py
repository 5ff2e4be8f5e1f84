"""The two clients: the same operations, run by blocking calls or by awaited ones."""

import asyncio
import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

import httpx

from .answers import Step
from .exchange import Patience, Pause, Request, Steps
from .operations import Operations

T = TypeVar("T")


class _Addresses:
    """One server or several that serve the same models: after a failed connection the next is asked.

    Every operation only reads, so that a request can be sent again. One address alone may be a proxy's: where an answer
    breaks off it is asked once more.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = [httpx.URL(url.rstrip("/")) for url in urls]
        self._now = 0

    def failures(self) -> list[type[httpx.TransportError]]:
        """One for each time that a request may be sent again: after such an error."""
        others = len(self._urls) - 1
        return [httpx.TransportError] * others if others else [httpx.RemoteProtocolError]

    def url(self, request: Request) -> httpx.URL:
        base = self._urls[self._now]
        return base.copy_with(raw_path=base.raw_path.rstrip(b"/") + request.path.encode())

    def next(self) -> None:
        self._now = (self._now + 1) % len(self._urls)


class _Settings:
    def __init__(self, url: str | Sequence[str] | None, key: str | None, timeout_s: float) -> None:
        chosen = default_url() if url is None else url
        self.addresses = _Addresses([chosen] if isinstance(chosen, str) else chosen)
        key = os.environ.get("GATESCOPE_KEY") if key is None else key
        self.http: dict[str, Any] = {
            "timeout": timeout_s,
            "headers": {"authorization": f"Bearer {key}"} if key else {},
        }


class Client(Operations):
    """One connection pool to a server, or to several that serve the same models.

    url: GATESCOPE_URL by default, else GATESCOPE_HOST and GATESCOPE_PORT, else http://127.0.0.1:8000; key: an API key,
    GATESCOPE_KEY by default; patience: how long a request is repeated that the server asks to send later.

    with Client() as client:
        client.predict("not bad at all", "en-sentiment-lstm").result.label
    """

    def __init__(
        self,
        url: str | Sequence[str] | None = None,
        *,
        key: str | None = None,
        timeout_s: float = 60.0,
        patience: Patience | None = None,
    ) -> None:
        super().__init__(patience or Patience())
        settings = _Settings(url, key, timeout_s)
        self._addresses, self._http = settings.addresses, httpx.Client(**settings.http)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def stream(
        self, chunks: Iterable[str], model: str | None = None, *, state: str | None = None, **options: Any
    ) -> Iterator[Step]:
        """A step for each chunk of a text; options: those of `step`. A step's `state` continues elsewhere, or later."""
        for chunk in chunks:
            step = self.step(chunk, state, model, **options)
            yield step
            state = step.state

    def _run(self, steps: Steps[T]) -> T:
        answer: Any = None
        while True:
            try:
                wanted = steps.send(answer)
            except StopIteration as end:
                found: T = end.value
                return found
            if isinstance(wanted, Pause):
                answer = None
                time.sleep(wanted.seconds)
            else:
                answer = self._send(wanted)

    def _send(self, request: Request) -> httpx.Response:
        for again in self._addresses.failures():
            try:
                return self._send_once(request)
            except again:
                self._addresses.next()
        return self._send_once(request)

    def _send_once(self, request: Request) -> httpx.Response:
        url = self._addresses.url(request)
        return self._http.request(request.method, url, headers=request.headers, content=request.content)


class AsyncClient(Operations):
    """`Client` for asyncio: every operation is awaited.

    async with AsyncClient() as client:
        (await client.predict("not bad at all", "en-sentiment-lstm")).result.label
    """

    def __init__(
        self,
        url: str | Sequence[str] | None = None,
        *,
        key: str | None = None,
        timeout_s: float = 60.0,
        patience: Patience | None = None,
    ) -> None:
        super().__init__(patience or Patience())
        settings = _Settings(url, key, timeout_s)
        self._addresses, self._http = settings.addresses, httpx.AsyncClient(**settings.http)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def stream(
        self,
        chunks: Iterable[str] | AsyncIterable[str],
        model: str | None = None,
        *,
        state: str | None = None,
        **options: Any,
    ) -> AsyncIterator[Step]:
        """See `Client.stream`."""
        async for chunk in chunks if isinstance(chunks, AsyncIterable) else _awaited(chunks):
            step = await self.step(chunk, state, model, **options)
            yield step
            state = step.state

    async def _run(self, steps: Steps[T]) -> T:
        answer: Any = None
        while True:
            try:
                wanted = steps.send(answer)
            except StopIteration as end:
                found: T = end.value
                return found
            if isinstance(wanted, Pause):
                answer = None
                await asyncio.sleep(wanted.seconds)
            else:
                answer = await self._send(wanted)

    async def _send(self, request: Request) -> httpx.Response:
        for again in self._addresses.failures():
            try:
                return await self._send_once(request)
            except again:
                self._addresses.next()
        return await self._send_once(request)

    async def _send_once(self, request: Request) -> httpx.Response:
        url = self._addresses.url(request)
        return await self._http.request(request.method, url, headers=request.headers, content=request.content)


def default_url(environment: Mapping[str, str] = os.environ) -> str:
    """GATESCOPE_URL, else where a server with the same settings listens: GATESCOPE_HOST and GATESCOPE_PORT."""
    named = {name.upper(): value for name, value in environment.items()}
    if url := named.get("GATESCOPE_URL"):
        return url
    host, port = named.get("GATESCOPE_HOST") or "127.0.0.1", named.get("GATESCOPE_PORT") or "8000"
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # every address: ask the local one
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


async def _awaited(chunks: Iterable[str]) -> AsyncIterator[str]:
    for chunk in chunks:
        yield chunk
