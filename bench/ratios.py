"""Times several contenders in turn, so that a ratio compares calls that ran moments apart.

A machine's speed drifts, so times of two separate runs cannot be compared. Here every round times every contender, each
round in another order, and ratios are taken within a round; their median and range over the rounds are reported.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

Clock = Callable[[], float]
Call = Callable[[], object]


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest of the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def from_values(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def times(self, factor: float) -> "Spread":
        return Spread(self.median * factor, self.low * factor, self.high * factor)

    def stored(self, digits: int = 4) -> dict[str, float]:
        """For JSON, rounded to `digits` significant digits."""
        return {name: significant(value, digits) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Timings:
    """Seconds for one call: contender -> one number for each round."""

    seconds: Mapping[str, Sequence[float]]

    def spread(self, name: str) -> Spread:
        return Spread.from_values(self.seconds[name])

    def ratio(self, over: str, under: str) -> Spread:
        """over / under, taken within each round."""
        return Spread.from_values([a / b for a, b in zip(self.seconds[over], self.seconds[under], strict=True)])


def measure(
    calls: Mapping[str, Call],
    rounds: int = 5,
    at_least_s: float = 0.03,
    clocks: Sequence[Clock] = (time.process_time, time.perf_counter),
) -> list[Timings]:
    """Times every call in every round, each repeated to take `at_least_s`, after warming up.

    Returns: one `Timings` for each of `clocks`; by default CPU time of this process and wall time.
    """
    by_clock: list[dict[str, list[float]]] = [{name: [] for name in calls} for _ in clocks]
    repeats = {name: _repeats(call, at_least_s, clocks[0]) for name, call in calls.items()}
    with _no_collection():
        for turn in range(rounds):
            for name in rotated(list(calls), turn):
                for kept, seconds in zip(by_clock, _timed(calls[name], repeats[name], clocks), strict=True):
                    kept[name].append(seconds)
    return [Timings(seconds) for seconds in by_clock]


def rotated(names: Sequence[str], turn: int) -> list[str]:
    """The names with another one first each turn, so that none always runs after the same one."""
    first = turn % len(names)
    return [*names[first:], *names[:first]]


def significant(value: float, digits: int = 4) -> float:
    return float(f"{value:.{digits}g}")


def _timed(call: Call, repeats: int, clocks: Sequence[Clock]) -> list[float]:
    before = [clock() for clock in clocks]
    for _ in range(repeats):
        call()
    after = [clock() for clock in clocks]
    return [(b - a) / repeats for a, b in zip(before, after, strict=True)]


def _repeats(call: Call, at_least_s: float, clock: Clock) -> int:
    """How often to call: doubled until a tenth of the time is filled, because first calls are slower than others."""
    call()
    repeats = 1
    while True:
        seconds = _timed(call, repeats, [clock])[0] * repeats
        if seconds >= at_least_s / 10:
            return max(1, round(repeats * at_least_s / seconds))
        repeats *= 2


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection while timing: with torch imported a full one takes a tenth of a second."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
