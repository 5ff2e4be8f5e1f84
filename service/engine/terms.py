"""The terms of one request: how long its answer is of use, and how to hear that its client has left."""

import asyncio
from collections.abc import Awaitable, Callable

Departure = Callable[[], Awaitable[bool]]  # waits; True once the client has left, False where that cannot be known


class Terms:
    """deadline_ms counts from `arrived`; ends: when it passes. Both are times of the event loop's clock."""

    __slots__ = ("arrived", "deadline_ms", "departure", "ends")

    def __init__(self, deadline_ms: int, arrived: float, departure: Departure | None = None) -> None:
        self.deadline_ms, self.arrived, self.departure = deadline_ms, arrived, departure
        self.ends = arrived + deadline_ms / 1000

    @staticmethod
    def from_now(deadline_ms: int, departure: Departure | None = None) -> "Terms":
        return Terms(deadline_ms, asyncio.get_running_loop().time(), departure)
