"""Loading and unloading at run time: on a thread of its own, one change after the other, followed by every worker."""

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

from ..errors import NotFollowed
from .board import Board, Report
from .registry import Registry

log = logging.getLogger(__name__)
_LOOK_AGAIN_S = 0.05  # at what other workers have asked for or reached


class Control:
    """Changes the registry; the event loop never waits for a model. Without a board this process is the only one."""

    def __init__(self, registry: Registry, board: Board | None = None) -> None:
        self._registry, self._board = registry, board
        self._thread = ThreadPoolExecutor(1, "loader")
        self._signalled = asyncio.Event()
        self._reached = 0  # the change of the board that this process has followed

    async def load_all(self) -> None:
        """The first load of this process."""
        if self._board is None:
            await self._run(self._registry.load_all)
            return
        self._board.join()
        wanted = self._board.wanted()
        await self._run(lambda: self._registry.load_all(wanted.unloaded))
        self._report(wanted.change)

    async def load(self, name: str) -> None:
        """Load or replace a model in every worker.

        Raises: LoadRefused, with nothing changed; NotFollowed where another worker could not do the same.
        """
        await self._run(lambda: self._registry.load(name))
        if self._board:
            await self._all_follow(name, self._asked(name, load=name))

    async def unload(self, name: str) -> None:
        """Raises: UnknownModel, NotFollowed."""
        await self._run(lambda: self._registry.unload(name))
        if self._board:
            await self._all_follow(name, self._asked(name, unload=name))

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Within the block SIGHUP has the weights folder read anew, and the changes of other workers are followed."""
        task = asyncio.create_task(self._follow_changes())
        on_main = threading.current_thread() is threading.main_thread()  # no other thread receives signals
        loop = asyncio.get_running_loop()
        if on_main:
            loop.add_signal_handler(signal.SIGHUP, self._on_signal)
        try:
            yield
        finally:
            if on_main:
                loop.remove_signal_handler(signal.SIGHUP)
            task.cancel()

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._board:
            self._board.leave()

    def _on_signal(self) -> None:
        log.info("SIGHUP: the weights folder is read anew")
        if self._board:
            self._board.ask()
        else:
            self._signalled.set()

    async def _follow_changes(self) -> None:
        while True:
            await self._a_change()
            try:
                await self._follow()
            except Exception as error:  # the next change must still be followed
                log.error("a change could not be followed", exc_info=error)

    async def _a_change(self) -> None:
        if self._board is None:
            await self._signalled.wait()
            self._signalled.clear()
            return
        while not self._registry.loaded or self._board.wanted().change <= self._reached:
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _follow(self) -> None:
        if self._board is None:
            await self._run(self._registry.follow)
            return
        wanted = self._board.wanted()
        try:
            await self._run(lambda: self._registry.follow(wanted.unloaded))
        finally:
            self._report(wanted.change)

    def _report(self, change: int) -> None:
        assert self._board
        self._reached = change
        models = self._registry.models
        self._board.report(Report(change, {**models.broken, **models.rejected}))

    def _asked(self, name: str, load: str | None = None, unload: str | None = None) -> int:
        """The change that the others are asked to follow. Raises: NotFollowed where the disk is full."""
        assert self._board
        try:
            return self._board.ask(load, unload).change
        except OSError as error:
            raise NotFollowed(name, f"what they share cannot be written: {error.strerror}") from error

    async def _all_follow(self, name: str, change: int) -> None:
        """Wait until every worker that lives has reached this change. Raises: NotFollowed."""
        assert self._board
        while any(report.change < change for report in self._board.reports()):
            await asyncio.sleep(_LOOK_AGAIN_S)
        for report in self._board.reports():
            if name in report.failures:
                raise NotFollowed(name, report.failures[name])

    async def _run(self, change: Callable[[], None]) -> None:
        """Changes queue up behind each other, for one writes what the next reads."""
        await asyncio.get_running_loop().run_in_executor(self._thread, change)
