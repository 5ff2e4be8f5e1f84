"""A real server in a process of its own, as `bench` starts it, with what its metrics, memory and log say."""

import contextlib
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import orjson
import torch
from prometheus_client.parser import text_string_to_metric_families

from bench.load import request
from bench.peers.processes import Running, running
from bench.peers.table import HOST, ours
from models.checkpoint.checkpoint import save_checkpoint
from tests.conftest import TINY, make_checkpoint

MODEL = "tiny-zh-lstm"
TEXTS = ("我想吃汉堡", "酒店不错，服务很好。", "服务很差！" * 20, "中国女排在北京战胜了巴西队")
Measured = dict[str, Any]


@dataclass(frozen=True)
class Server:
    running: Running
    client: httpx.Client
    model: str

    @property
    def pid(self) -> int:
        """Of the process that was started; with several workers their supervisor."""
        return self.running.pid

    @property
    def port(self) -> int:
        return self.running.port

    @property
    def predict(self) -> str:
        return f"/v1/models/{self.model}/predict"

    @property
    def log(self) -> str:
        return self.running.contender.log.read_text(errors="replace")

    def requests(self, bodies: Sequence[Any]) -> list[bytes]:
        """Predictions of these inputs, as bytes to send."""
        return [request(HOST, self.port, self.predict, orjson.dumps({"inputs": inputs})) for inputs in bodies]

    def scores(self, inputs: Any) -> Any:
        answer = self.client.post(self.predict, json={"inputs": inputs})
        assert answer.status_code == 200, answer.text
        return scores(answer.content)

    def metric(self, name: str, **labels: str) -> float:
        """The sum over all samples of this name that have these labels."""
        families = text_string_to_metric_families(self.client.get("/metrics").text)
        samples = (sample for family in families for sample in family.samples if sample.name == f"gatescope_{name}")
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * 4096

    def children(self) -> list[int]:
        """Workers: the processes that this one started and that run the server."""
        found = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(pid) for pid in found if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@contextlib.contextmanager
def server(weights: Path, model: str = MODEL, module: str = "service", **settings: object) -> Iterator[Server]:
    """weights: a folder of models; module: what is run, with the argument `serve`; settings: by field."""
    environment = {f"GATESCOPE_{name.upper()}": str(value) for name, value in settings.items()}
    name = f"stress-{uuid.uuid4().hex[:8]}"  # of its log, which is kept where the block fails
    contender = ours(name, weights, **{"GATESCOPE_DEVICE": "cpu"} | environment)
    with (
        running(replace(contender, arguments=("-m", module, "serve"), path=f"/v1/models/{model}/predict")) as process,
        httpx.Client(base_url=f"http://{HOST}:{process.port}", timeout=60, trust_env=False) as client,
    ):
        yield Server(process, client, model)
    contender.log.unlink(missing_ok=True)


def tiny_models(folder: Path) -> Path:
    """A folder of models that an experiment may change."""
    for name, tiny in TINY.items():
        save_checkpoint(folder / name, make_checkpoint(name, tiny), torch.float32)
    return folder


def scores(content: bytes) -> list[dict[str, float]]:
    return [{each["label"]: each["score"] for each in result["labels"]} for result in json.loads(content)["results"]]


def are_equal(one: list[dict[str, float]], other: list[dict[str, float]]) -> bool:
    """But for rounding: sums are added in another order in other company."""
    return len(one) == len(other) and all(
        a.keys() == b.keys() and all(abs(a[label] - b[label]) < 5e-6 for label in a)
        for a, b in zip(one, other, strict=True)
    )
