"""The terms of one request: how long its answer is of use, and how to hear that its client has left."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Departure = Callable[[], Awaitable[bool]]  # waits; True once the client has left, False where that cannot be known


@dataclass(frozen=True)
class Terms:
    """deadline_ms counts from `arrived`, a time of the event loop's clock."""

    deadline_ms: int
    arrived: float
    departure: Departure | None = None

    @staticmethod
    def from_now(deadline_ms: int, departure: Departure | None = None) -> "Terms":
        return Terms(deadline_ms, asyncio.get_running_loop().time(), departure)

    @property
    def ends(self) -> float:
        """When the deadline passes, by the event loop's clock."""
        return self.arrived + self.deadline_ms / 1000
