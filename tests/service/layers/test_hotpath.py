"""The same answers and errors with and without the framework's routing, and alone or in a batch."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.runtime.cpu.kernel import available
from service.layers.hotpath import HotPath
from service.settings import Settings
from tests.service.conftest import running

JSON = {"content-type": "application/json"}
REQUESTS: list[tuple[str, bytes, dict[str, str]]] = [
    ("tiny-zh-lstm/predict", '{"inputs": "我想吃汉堡"}'.encode(), JSON),
    ("tiny-zh-lstm/predict", '{"inputs": ["好", "不好"], "top_k": 1}'.encode(), {}),
    ("tiny-zh-lstm/inspect", '{"inputs": "好", "tensors": ["forget_gate"]}'.encode(), JSON),
    ("tiny-zh-lstm/inspect", '{"inputs": "好"}'.encode(), {**JSON, "accept": "application/x-npz"}),
    ("tiny-zh-lstm/inspect", '{"inputs": "好"}'.encode(), {**JSON, "accept": "image/png"}),
    ("tiny-zh-lstm/predict", b"{", JSON),
    ("tiny-zh-lstm/predict", b"", JSON),
    ("tiny-zh-lstm/predict", b'{"inputs": ""}', JSON),
    ("tiny-zh-lstm/predict", b'{"inputs": "x", "strange": 1}', JSON),
    ("tiny-zh-lstm/predict", b"inputs=x", {"content-type": "application/x-www-form-urlencoded"}),
    ("tiny-zh-lstm/predict", b"{}", {**JSON, "content-encoding": "gzip"}),
    ("nobody/predict", b'{"inputs": "x"}', JSON),
    ("tiny-zh-lstm/step", b'{"text": ""}', JSON),
    ("tiny-zh-lstm/step", b'{"text": "x", "state": "AAAA"}', JSON),
    ("tiny-en-bilstm/step", b'{"text": "x"}', JSON),
    ("tiny-zh-lstm/predict/", b'{"inputs": "x"}', JSON),
    ("/predict", b'{"inputs": "x"}', JSON),
    ("a/b/predict", b'{"inputs": "x"}', JSON),
]


def test_answers_are_the_same_with_and_without_the_framework(
    weights_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answers(client: httpx.Client) -> list[Any]:
        found = []
        for path, content, headers in REQUESTS:
            answer = client.post(f"/v1/models/{path}", content=content, headers=headers)
            assert answer.headers["x-request-id"]
            kind = answer.headers.get("content-type")
            body = answer.json() if kind and "json" in kind else None
            if isinstance(body, dict):
                body.pop("usage", None)
            found.append((path, answer.status_code, kind, body))
        return found

    with running(Settings(weights_dir=weights_dir, device="cpu")) as client:
        direct = answers(client)
        routed: list[str] = []
        monkeypatch.setattr(HotPath, "_route", lambda self, scope: routed.append(scope["path"]))
        assert answers(client) == direct
        assert len(routed) >= len(REQUESTS)
    assert {status for _, status, _, _ in direct} >= {200, 400, 404, 406, 415, 422}


def test_a_text_in_company_is_answered_as_alone(server: httpx.Client) -> None:
    """Bit for bit by the fused kernel; by torch's within the last digits of float32, and no label is another."""
    texts = ["好" * n + "不" * (n % 3) + "吃汉堡" for n in range(1, 60)]
    alone = [_result(server.post("/v1/models/tiny-zh-lstm/predict", json={"inputs": t})) for t in texts]

    async def together() -> list[Any]:
        limits = httpx.Limits(max_connections=32)
        async with httpx.AsyncClient(base_url=server.base_url, limits=limits, timeout=30, trust_env=False) as client:
            asked = [client.post("/v1/models/tiny-zh-lstm/predict", json={"inputs": t}) for t in texts * 3]
            return [_result(answer) for answer in await asyncio.gather(*asked)]

    found, last_digits = asyncio.run(together()), 0 if available() else 1e-6
    for batched, wanted in zip(found, alone * 3, strict=True):
        for one, other in zip(batched[0]["labels"], wanted[0]["labels"], strict=True):
            assert one["label"] == other["label"]
            assert abs(one["score"] - other["score"]) <= last_digits
        assert batched[0]["tokens"] == wanted[0]["tokens"]


def test_the_probes_answer_while_the_model_is_at_work(server: httpx.Client) -> None:
    """A batch that takes long is not in the event loop: liveness is answered before it is done."""
    done = threading.Event()

    def work() -> None:
        server.post("/v1/models/tiny-zh-lstm/predict", json={"inputs": ["好" * 500] * 200})
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    live = 0
    while not done.is_set():
        assert server.get("/health/live").status_code == 200
        live += not done.is_set()
    thread.join()
    assert live > 0


def _result(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]
