"""How often each model was asked and how long it took, as the Open Inference Protocol counts: pairs of count and ns."""

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    count: int = 0
    ns: int = 0

    def add(self, ms: float) -> None:
        self.count += 1
        self.ns += int(ms * 1e6)


@dataclass
class ModelStatistics:
    """Requests of one model, whichever route they came by."""

    success: Tally = field(default_factory=Tally)
    fail: Tally = field(default_factory=Tally)
    queue: Tally = field(default_factory=Tally)
    compute: Tally = field(default_factory=Tally)
    texts: int = 0
    last_inference_ms: int = 0

    def answered(self, texts: int, queue_ms: float, compute_ms: float) -> None:
        self.success.add(queue_ms + compute_ms)
        self.queue.add(queue_ms)
        self.compute.add(compute_ms)
        self.texts += texts
        self.last_inference_ms = int(time.time() * 1000)

    def failed(self, began: float) -> None:
        """began: by time.perf_counter."""
        self.fail.add((time.perf_counter() - began) * 1000)
