"""The service's metrics. Every label has few values, all of them the service's own: no name or text from outside.

Counted in plain Python, a tenth of a microsecond each: prometheus_client's own objects take seven times as long, and
are for metrics that are seldom touched. They are made of these figures when somebody asks.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from ..exchange import Exchange, route_of

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_TOKENS = (4, 16, 64, 256, 1024, 4096, 16384)
REFUSED = ("queue_full", "too_large", "draining", "connections")
DROPPED = ("expired", "departed")


class Distribution:
    """How many values lie under each bound, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds, self.counts, self.total = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, values up to it), as Prometheus counts."""
        names, below, found = [*map(str, map(float, self.bounds)), "+Inf"], 0, []
        for name, count in zip(names, self.counts, strict=True):
            below += count
            found.append((name, float(below)))
        return found


class Figures:
    """One process's metrics; a collector in prometheus_client's sense."""

    def __init__(self) -> None:
        self._requests: dict[str, Distribution] = {}
        self._answers: dict[tuple[str, int, str | None], int] = {}
        self._queue, self._compute = Distribution(_SECONDS), Distribution(_SECONDS)
        self._batch_texts, self._batch_tokens = Distribution(_TEXTS), Distribution(_TOKENS)
        self._refused, self._dropped = dict.fromkeys(REFUSED, 0), dict.fromkeys(DROPPED, 0)
        self._gauges: list[tuple[str, str, Callable[[], float]]] = []

    def gauge(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """A value that is asked for when metrics are read."""
        self._gauges.append((name, meaning, value))

    def answered(self, scope: Any, exchange: Exchange, seconds: float) -> None:
        """A request has ended; status 0 is that of one whose client left before the answer."""
        route = exchange.route or route_of(scope)
        requests = self._requests.get(route) or self._requests.setdefault(route, Distribution(_SECONDS))
        requests.add(seconds)
        key = (route, exchange.status, exchange.problem)
        self._answers[key] = self._answers.get(key, 0) + 1

    def waited(self, seconds: float) -> None:
        self._queue.add(seconds)

    def ran(self, texts: int, tokens: int, seconds: float) -> None:
        """A batch has run."""
        self._compute.add(seconds)
        self._batch_texts.add(texts)
        self._batch_tokens.add(tokens)

    def refused(self, reason: str) -> None:
        self._refused[reason] += 1

    def dropped(self, reason: str) -> None:
        self._dropped[reason] += 1

    def collect(self) -> Iterable[Metric]:
        yield _histogram("request_seconds", "from headers to answer, by route", self._requests, ["route"])
        answers = _counter("answers", "by route, status and the problem's error_type", ["route", "status", "problem"])
        for (route, status, problem), count in list(self._answers.items()):
            answers.add_metric([route, str(status), problem or "none"], count)
        yield answers
        yield _histogram("queue_seconds", "a request's wait for the model", {"": self._queue})
        yield _histogram("compute_seconds", "a batch's time in the model", {"": self._compute})
        yield _histogram("batch_size", "texts that ran together", {"": self._batch_texts})
        yield _histogram("batch_tokens", "tokens that ran together", {"": self._batch_tokens})
        for name, batches in (("texts", self._batch_texts), ("tokens", self._batch_tokens)):
            family = _counter(name, f"{name} that models have read")
            family.add_metric([], batches.total)
            yield family
        refused = "requests refused before they waited, by reason"
        dropped = "requests given up while they waited, by reason"
        for name, meaning, counts in (("refused", refused, self._refused), ("dropped", dropped, self._dropped)):
            family = _counter(name, meaning, ["reason"])
            for reason, count in counts.items():
                family.add_metric([reason], count)
            yield family
        for name, meaning, value in self._gauges:
            yield GaugeMetricFamily(f"gatescope_{name}", meaning, value=value())


def _counter(name: str, meaning: str, labels: Sequence[str] = ()) -> CounterMetricFamily:
    return CounterMetricFamily(f"gatescope_{name}", meaning, labels=labels)


def _histogram(
    name: str, meaning: str, values: dict[str, Distribution], labels: Sequence[str] = ()
) -> HistogramMetricFamily:
    """values: by the one label's value, or by "" where there is no label."""
    family = HistogramMetricFamily(f"gatescope_{name}", meaning, labels=labels)
    for label, distribution in list(values.items()):
        family.add_metric([label] if labels else [], distribution.buckets(), distribution.total)
    return family
