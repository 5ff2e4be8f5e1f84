"""BentoML: bentoml serve bench.peers.bentoml:Peer --port PORT

Its batching needs lists, so a request's `inputs` is a list of one text.
"""

from typing import Any

import bentoml  # type: ignore[import-not-found]  # installed only in its own environment

from .shared import load


# Tried, requests/s at 64 connections: a plain method 1040, an async one 930; batches of 32 970; a latency of 200 ms
# 980, of 20 ms the same, but some answers are 503.
@bentoml.service(
    workers=1,
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
    monitoring={"enabled": False},
)
class Peer:
    def __init__(self) -> None:
        self.predict_batch = load()

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000, route="/predict")  # type: ignore[untyped-decorator]
    def predict(self, inputs: list[str]) -> list[dict[str, Any]]:
        return self.predict_batch(inputs)
