"""A machine whose time is simulated: its event loop never sleeps, and work takes as long as it says.

What an engine promises in seconds can then be tested to the second, whatever else the real machine does.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from service.engine import admission, engine


class Machine:
    """`spend` is what work calls in place of computing. now: seconds, of the event loop and of every clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.loop = _Loop(self)
        clock = SimpleNamespace(perf_counter=self.time, monotonic=self.time)
        for module in (engine, admission):
            monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(engine, "ThreadPoolExecutor", lambda *_: _Thread(self))

    def time(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds

    def run(self, scenario: Coroutine[Any, Any, None]) -> None:
        try:
            self.loop.run_until_complete(scenario)
        finally:
            self.loop.close()


class _Thread:
    """The model thread: what it computes is there after the time that it took, and the event loop goes on meanwhile."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def submit(self, work: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        machine, began = self.machine, self.machine.now
        outcome = work(*arguments)
        took, machine.now = machine.now - began, began
        future: Future[Any] = Future()
        machine.loop.call_later(took, future.set_result, outcome)
        return future

    def shutdown(self, **_: Any) -> None:
        pass


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        super().__init__(_Selector(machine))

    def time(self) -> float:
        return self.machine.now


class _Selector(selectors.DefaultSelector):
    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self.machine = machine

    def select(self, timeout: float | None = None) -> Any:
        """Nothing is waited for: time goes on to the next timer."""
        if timeout is None:
            raise RuntimeError("nothing is due, and nothing would ever happen again")
        self.machine.now += max(0.0, timeout)
        return super().select(0)
