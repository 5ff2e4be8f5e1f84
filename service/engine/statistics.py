"""How often each model was asked and how long it took, as the Open Inference Protocol counts: pairs of count and ns."""

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    count: int = 0
    ns: int = 0

    def add(self, ns: int) -> None:
        self.count += 1
        self.ns += ns


@dataclass(slots=True)
class ModelStatistics:
    """Requests of one model, whichever route they came by."""

    success: Tally = field(default_factory=Tally)
    fail: Tally = field(default_factory=Tally)
    queue: Tally = field(default_factory=Tally)
    compute: Tally = field(default_factory=Tally)
    texts: int = 0
    last_inference_ms: int = 0

    def answered(self, texts: int, queue_ms: float, compute_ms: float) -> None:
        queue_ns, compute_ns = int(queue_ms * 1e6), int(compute_ms * 1e6)
        self.success.add(queue_ns + compute_ns)
        self.queue.add(queue_ns)
        self.compute.add(compute_ns)
        self.texts += texts
        self.last_inference_ms = int(time.time() * 1000)

    def failed(self, began: float) -> None:
        """began: by time.perf_counter."""
        self.fail.add(int((time.perf_counter() - began) * 1e9))
