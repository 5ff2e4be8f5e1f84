"""Every contender: its command, its path for requests, and the environment that it runs in."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from service.settings import Settings

from ..load import request
from .environments import BUILD, ensure

HOST = "127.0.0.1"
MODEL = Path("weights/zh-sentiment-lstm")
OURS, BF16, NOOP = "ours", "ours-bf16", "noop"
PEERS = ("litserve", "bentoml", "ray")
_READY = "/health/ready"
_KERNELS = {"torch": "torch", "fused": "auto"}


@dataclass(frozen=True)
class Contender:
    """``{port}`` in arguments and environment stands for the port. peer None: it runs in this project's environment."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    peer: str | None = None
    path: str = "/predict"
    takes_lists: bool = False
    readiness_path: str | None = None  # None: it is ready when it answers a text

    def command(self, port: int) -> list[str]:
        """Makes the peer's environment where it is missing. Raises: environments.InstallFailed."""
        python = ensure(self.peer) if self.peer else Path(sys.executable)
        return [str(python), *(a.format(port=port) for a in self.arguments)]

    def variables(self, port: int) -> dict[str, str]:
        return {name: value.format(port=port) for name, value in self.environment.items()}

    def request(self, port: int, text: str) -> bytes:
        return request(HOST, port, self.path, orjson.dumps({"inputs": [text] if self.takes_lists else text}))

    def readiness(self, port: int) -> bytes:
        return (
            request(HOST, port, self.readiness_path, method="GET")
            if self.readiness_path
            else self.request(port, "酒店不错")
        )

    @property
    def log(self) -> Path:
        return BUILD / f"{self.name}.log"


def ours(name: str = OURS, weights: Path = MODEL, **environment: str) -> Contender:
    """Our server. weights: one model's folder, named as the model; or a folder of models, where `path` has no use."""
    settings = {"GATESCOPE_WEIGHTS_DIR": str(weights), "GATESCOPE_PORT": "{port}", "GATESCOPE_LOG_FORMAT": "text"}
    arguments = ("-m", "service", "serve")
    return Contender(
        name, arguments, settings | environment, path=f"/v1/models/{weights.name}/predict", readiness_path=_READY
    )


def known(model: Path = MODEL) -> dict[str, Contender]:
    """All contenders by name, ours first; a peer's environment is made when it is first started."""
    contenders = [ours(OURS, model), ours(BF16, model, GATESCOPE_PRECISION="bfloat16"), _noop()]
    for make in (_plain, _litserve, _bentoml, _ray):
        for suffix, kernel in _KERNELS.items():
            contenders.append(make(suffix, {"BENCH_MODEL": str(model), "BENCH_KERNEL": kernel}))
    return {contender.name: contender for contender in contenders}


def unavailable(name: str) -> str | None:
    """Why this contender cannot be measured now; None where it can."""
    if name == BF16 and "precision" not in Settings.model_fields:
        return f"{BF16} is left out: this service has no setting GATESCOPE_PRECISION"
    return None


def _noop() -> Contender:
    return Contender(NOOP, ("-m", "uvicorn", "bench.peers.noop:app", "--no-access-log", "--port", "{port}"))


def _plain(suffix: str, shared: dict[str, str]) -> Contender:
    app = ("bench.peers.plain:create", "--factory", "--no-access-log", "--port", "{port}")
    return Contender(f"plain-{suffix}", ("-m", "uvicorn", *app), shared)


def _litserve(suffix: str, shared: dict[str, str]) -> Contender:
    return Contender(f"litserve-{suffix}", ("-m", "bench.peers.litserve", "{port}"), shared, "litserve")


def _bentoml(suffix: str, shared: dict[str, str]) -> Contender:
    serve = ("-m", "bentoml", "serve", "bench.peers.bentoml:Peer", "--host", HOST, "--port", "{port}")
    quiet = {"BENTOML_DO_NOT_TRACK": "True"}
    return Contender(f"bentoml-{suffix}", serve, shared | quiet, "bentoml", takes_lists=True)


def _ray(suffix: str, shared: dict[str, str]) -> Contender:
    direct = {
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": "{port}",
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": "65535",  # Ray takes the first free port
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",  # otherwise Ray leaves a token in the home directory
    }
    return Contender(f"ray-{suffix}", ("-m", "bench.peers.ray"), shared | direct, "ray")
