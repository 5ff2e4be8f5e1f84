"""How often each model was asked and how long it took, as the Open Inference Protocol counts: pairs of count and ns."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Tally:
    count: int = 0
    ns: int = 0


@dataclass(slots=True)
class ModelStatistics:
    """Requests of one model, whichever route they came by."""

    requests: int = 0
    queue_ms: float = 0.0
    compute_ms: float = 0.0
    texts: int = 0
    last_inference_s: float = 0.0
    fail: Tally = field(default_factory=Tally)

    @property
    def queue(self) -> Tally:
        return Tally(self.requests, int(self.queue_ms * 1e6))

    @property
    def compute(self) -> Tally:
        return Tally(self.requests, int(self.compute_ms * 1e6))

    @property
    def success(self) -> Tally:
        return Tally(self.requests, self.queue.ns + self.compute.ns)

    def answered(self, texts: int, queue_ms: float, compute_ms: float) -> None:
        self.requests += 1
        self.queue_ms += queue_ms
        self.compute_ms += compute_ms
        self.texts += texts
        self.last_inference_s = time.time()

    def failed(self, began: float) -> None:
        """began: by time.perf_counter."""
        self.fail = Tally(self.fail.count + 1, self.fail.ns + int((time.perf_counter() - began) * 1e9))
