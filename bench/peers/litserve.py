"""LitServe: python -m bench.peers.litserve PORT"""

import sys
from typing import Any

from litserve import LitAPI, LitServer  # type: ignore[import-not-found]  # installed only in its own environment

from .shared import load


class Peer(LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        self.predict_batch = load()

    def decode_request(self, request: dict[str, str]) -> str:
        return request["inputs"]

    def batch(self, inputs: list[str]) -> list[str]:
        return inputs

    def predict(self, texts: list[str]) -> list[dict[str, Any]]:
        return self.predict_batch(texts)

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


# Tried, requests/s at 64 connections: a wait of 0 ms 830, 5 ms 960, 20 ms 1050; batches of 32 950; the API server as a
# thread 250. fast_queue changes nothing in 0.2.19, which passes it on under an unused name (its issue 751).
if __name__ == "__main__":
    server = LitServer(Peer(max_batch_size=64, batch_timeout=0.02), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )
