"""The predicted time of a batch: a line fitted to recent batches."""

from collections import defaultdict
from collections.abc import Hashable
from weakref import WeakKeyDictionary


class Pace:
    """The time of similar jobs: seconds = start + tokens * each, fitted by least squares to recent batches.

    A batch has a fixed cost as well as a cost per token: without it small batches would look slow, and be kept small.
    """

    _DECAY = 0.95  # weight of earlier measurements, applied at each new one
    _FIRST_GUESS = ((1, 0.0005), (1000, 0.05))  # tokens, seconds

    def __init__(self) -> None:
        self._n = self._t = self._s = self._tt = self._ts = 0.0  # sums: 1, tokens, seconds, tokens^2, tokens * seconds
        for tokens, seconds in self._FIRST_GUESS:
            self.measured(tokens, seconds)

    def measured(self, tokens: int, seconds: float) -> None:
        decay = self._DECAY
        self._n = decay * self._n + 1.0
        self._t = decay * self._t + tokens
        self._s = decay * self._s + seconds
        self._tt = decay * self._tt + tokens * tokens
        self._ts = decay * self._ts + tokens * seconds

    @property
    def _each(self) -> float:
        """Seconds a token; where all batches had one size, or the slope is negative, the start is taken as zero."""
        spread = self._n * self._tt - self._t * self._t
        slope = (self._n * self._ts - self._t * self._s) / spread if spread > 1e-6 * self._n * self._tt else 0.0
        return min(slope, self._s / self._t) if slope > 0 else self._s / self._t

    def seconds(self, tokens: int) -> float:
        """The predicted time of one batch."""
        return (self._s + self._each * (self._n * tokens - self._t)) / self._n

    def tokens_within(self, seconds: float) -> int:
        """The largest batch, in tokens, that is predicted to take at most `seconds`."""
        each = self._each
        start = (self._s - each * self._t) / self._n
        return max(0, int((seconds - start) / max(each, 1e-12)))


class Paces:
    """The pace of each kind of job, kept as long as its owner lives: a model that is unloaded must not be held here."""

    def __init__(self) -> None:
        self._by_owner: WeakKeyDictionary[Hashable, dict[Hashable, Pace]] = WeakKeyDictionary()
        self._by_name: dict[Hashable, Pace] = defaultdict(Pace)

    def of(self, kind: Hashable) -> Pace:
        """kind: its owner, a tuple that begins with its owner, or a name, which is kept for good."""
        if isinstance(kind, str):
            return self._by_name[kind]
        owner, *rest = kind if isinstance(kind, tuple) else (kind,)
        paces = self._by_owner.get(owner)
        if paces is None:
            paces = self._by_owner[owner] = defaultdict(Pace)
        return paces[tuple(rest)]
