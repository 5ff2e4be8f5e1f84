"""The bound of the queue, and when a refused client may come back."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import BatchTooLarge, NotReady, Overloaded


@dataclass
class Admission:
    """Counts the tokens and requests that wait or run; refuses what does not fit, each with a time of its own.

    A refused request is promised a place behind those that were promised one before it, so that clients that wait as
    asked do not all come back at once and find the queue full again.
    """

    max_tokens: int
    max_requests: int
    seconds: Callable[[int], float]  # the predicted time of so many tokens
    tokens: int = 0
    requests: int = 0
    is_closed: bool = False
    being_read: int = 0  # tokens that are expected of the texts that are read just now
    _promised_until: float = 0.0

    def enter(self, tokens: int) -> None:
        """Raises: NotReady, BatchTooLarge, Overloaded."""
        if self.is_closed:
            raise NotReady("shutting down")
        if tokens > self.max_tokens:
            raise BatchTooLarge(tokens, self.max_tokens, "tokens to read")
        if self.tokens + tokens > self.max_tokens:
            raise Overloaded(self.tokens, self.max_tokens, "tokens", self._promise(tokens))
        if self.requests >= self.max_requests:
            raise Overloaded(self.requests, self.max_requests, "requests", self._promise(tokens))
        self.tokens += tokens
        self.requests += 1

    def expect(self, tokens: int) -> None:
        """Refuse what is not expected to fit, before its texts are read.

        Only where more than half of the queue is taken: what comes then would hardly be lucky, and while there is room
        no guess refuses anything. What passes here is still counted exactly by `enter`.

        Raises: Overloaded.
        """
        taken = self.tokens + self.being_read
        if 2 * taken > self.max_tokens and taken + tokens > self.max_tokens:
            raise Overloaded(taken, self.max_tokens, "tokens", self._promise(tokens))
        if self.requests >= self.max_requests:
            raise Overloaded(self.requests, self.max_requests, "requests", self._promise(tokens))

    def leave_part(self, tokens: int) -> None:
        self.tokens -= tokens

    def leave(self) -> None:
        self.requests -= 1

    def _promise(self, tokens: int) -> float:
        """Seconds until `tokens` more fit, after all that was promised before."""
        now = time.monotonic()
        excess = max(tokens, self.tokens + tokens - self.max_tokens)
        start = max(now + self.seconds(excess), self._promised_until)
        self._promised_until = start + self.seconds(tokens)
        return max(self._promised_until - now, 0.001)
