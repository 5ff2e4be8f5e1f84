"""The service's metrics. Every label has few values, all of them the service's own: no name or text from outside."""

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ..exchange import Exchange, route_of

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
REFUSED = ("queue_full", "too_large", "draining", "connections")
DROPPED = ("expired", "departed")
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_TOKENS = (4, 16, 64, 256, 1024, 4096, 16384)


class Figures:
    """One process's metrics, in a registry of their own. An observation takes under a microsecond."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = self._new(Histogram, "request_seconds", "from headers to answer, by route", "route", _SECONDS)
        answers = ("route", "status", "problem")
        self._answers = self._new(Counter, "answers", "answers, by route, status and the problem's error_type", answers)
        self._queue = self._new(Histogram, "queue_seconds", "a request's wait for the model", (), _SECONDS)
        self._compute = self._new(Histogram, "compute_seconds", "a batch's time in the model", (), _SECONDS)
        self._batch_texts = self._new(Histogram, "batch_size", "texts that ran together", (), _TEXTS)
        self._batch_tokens = self._new(Histogram, "batch_tokens", "tokens that ran together", (), _TOKENS)
        self._texts = self._new(Counter, "texts", "texts that models have read")
        self._tokens = self._new(Counter, "tokens", "tokens that models have read")
        self._refused = self._new(Counter, "refused", "requests refused before they waited, by reason", "reason")
        self._dropped = self._new(Counter, "dropped", "requests given up while they waited, by reason", "reason")
        for counter, reasons in ((self._refused, REFUSED), (self._dropped, DROPPED)):
            for reason in reasons:
                counter.labels(reason)  # is there from the start, as zero
        self._bound: dict[tuple[str, int, str], tuple[Histogram, Counter]] = {}

    def _new(
        self, kind: type[Any], name: str, meaning: str, labels: str | tuple[str, ...] = (), buckets: Any = None
    ) -> Any:
        labels = (labels,) if isinstance(labels, str) else labels
        more = {"buckets": buckets} if buckets else {}
        return kind(name, meaning, labels, namespace="gatescope", registry=self.registry, **more)

    def gauge(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """A value that is asked for when metrics are read."""
        self._new(Gauge, name, meaning).set_function(value)

    def answered(self, scope: Any, exchange: Exchange, seconds: float) -> None:
        """A request has ended; status 0 is that of one whose client left before the answer."""
        key = (route_of(scope), exchange.status, exchange.problem or "none")
        found = self._bound.get(key)
        if found is None:
            found = self._requests.labels(key[0]), self._answers.labels(*map(str, key))
            self._bound[key] = found
        found[0].observe(seconds)
        found[1].inc()

    def waited(self, seconds: float) -> None:
        self._queue.observe(seconds)

    def ran(self, texts: int, tokens: int, seconds: float) -> None:
        """A batch has run."""
        self._compute.observe(seconds)
        self._batch_texts.observe(texts)
        self._batch_tokens.observe(tokens)
        self._texts.inc(texts)
        self._tokens.inc(tokens)

    def refused(self, reason: str) -> None:
        self._refused.labels(reason).inc()

    def dropped(self, reason: str) -> None:
        self._dropped.labels(reason).inc()
