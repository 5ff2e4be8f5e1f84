"""A port that closes without losing those who have knocked.

The kernel opens connections by itself and keeps them until the server takes them. When the port is closed, those that
still wait there are reset, and with them the requests that they have already sent. Here they are taken first.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

import uvloop

_LAST_LOOK_S = 0.02  # after the event loop has let go of the port: until then what comes waits in the kernel

ProtocolFactory = Callable[[], asyncio.Protocol]


class Loop(uvloop.Loop):
    """uvloop's, with servers that are `Listening`."""

    async def create_server(self, protocol_factory: Any, *arguments: Any, **options: Any) -> Any:
        return Listening(await super().create_server(protocol_factory, *arguments, **options), protocol_factory, self)


class Listening:
    """An `asyncio.Server`, as far as uvicorn uses one."""

    def __init__(self, server: Any, protocol_factory: ProtocolFactory, loop: Loop) -> None:
        self._server, self._protocol_factory, self._loop = server, protocol_factory, loop
        self._last: list[socket.socket] = []
        self._taken: set[asyncio.Task[Any]] = set()

    @property
    def sockets(self) -> Any:
        return self._server.sockets

    def close(self) -> None:
        """Other processes that listen on the same port go on; the last one that closes it leaves nobody waiting."""
        self._last = [socket.socket(fileno=os.dup(each.fileno())) for each in self._server.sockets]
        self._server.close()
        self._loop.call_later(_LAST_LOOK_S, self._close_at_last)

    async def wait_closed(self) -> None:
        if self._taken:
            await asyncio.wait(self._taken)
        await self._server.wait_closed()

    def _close_at_last(self) -> None:
        for listening in self._last:
            listening.setblocking(False)
            accepted = []
            with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
                while True:
                    accepted.append(listening.accept()[0])
            listening.close()
            for connection in accepted:
                self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        taking = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol_of_late, connection))
        self._taken.add(taking)
        taking.add_done_callback(self._taken.discard)

    def _protocol_of_late(self) -> asyncio.Protocol:
        """Of a client that was there in time: it is heard, and let go like all others."""
        protocol: Any = self._protocol_factory()
        self._loop.call_soon(protocol.shutdown)
        return protocol  # type: ignore[no-any-return]
