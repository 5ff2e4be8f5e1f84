"""Ray Serve: python -m bench.peers.ray

The replica itself listens ("direct ingress", a part of Ray's throughput-optimized mode): a proxy would be one more
process on the same core. Ray reads that mode and the replica's port from the environment: `bench.peers.table`.
"""

from typing import Any

import ray  # installed only in its own environment
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

from .shared import load


# Tried, requests/s at 64 connections: the Python proxy 200, throughput-optimized 180; behind HAProxy 1750; direct 2400.
@serve.deployment(num_replicas=1, max_ongoing_requests=256)
class Peer:
    def __init__(self) -> None:
        self.predict_batch = load()

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0)  # type: ignore[untyped-decorator]
    async def batched(self, texts: list[str]) -> list[dict[str, Any]]:
        return self.predict_batch(texts)

    async def __call__(self, request: Request) -> JSONResponse:
        return JSONResponse(await self.batched((await request.json())["inputs"]))


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    # Ray always starts a proxy: here on a free port, where it gets no requests
    serve.start(http_options={"port": 0}, logging_config={"enable_access_log": False, "log_level": "WARNING"})
    serve.run(Peer.bind(), route_prefix="/predict", blocking=True)  # type: ignore[attr-defined]
