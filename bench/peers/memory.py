"""How much of our server's memory is weights, what was made from them, and the rest."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from models.inference.predictor import Predictor
from models.runtime.cpu.fused import FusedRunner
from service.registry.registry import Registry
from service.settings import Settings

from .client import clients
from .processes import Running, ServerFailed

_SETTLE_S = 2.0


def resident(server: Running, weights: Path) -> dict[str, int]:
    """Bytes, after a pause: rss and its parts anonymous and files (libraries); weights in float32; packed, their copy
    for the fused kernel; tables; rss_less_known and anonymous_less_known, the rest without weights, packed and tables.

    Raises: ServerFailed where the log does not say what was loaded.
    """
    time.sleep(_SETTLE_S)
    status = Path(f"/proc/{server.pid}/status").read_text()
    rss, anonymous, files = (
        1024 * int(_first_group(rf"{name}:\s+(\d+) kB", status)) for name in ("VmRSS", "RssAnon", "RssFile")
    )
    log = server.contender.log.read_text()
    parameters = sum(map(int, re.findall(r"\((\d+) parameters\)", log)))
    tables = 1_000_000 * sum(map(int, re.findall(r"tables of looked-up inputs take (\d+) MB", log)))
    if not parameters:
        raise ServerFailed(f"the log names no loaded model: read {server.contender.log}")
    with clients(1) as pool:
        packed = pool.submit(packed_bytes, weights).result()
    known = 4 * parameters + packed + tables
    return {
        "rss": rss,
        "anonymous": anonymous,
        "files": files,
        "weights": 4 * parameters,
        "packed": packed,
        "tables": tables,
        "rss_less_known": rss - known,
        "anonymous_less_known": anonymous - known,
    }


def packed_bytes(weights: Path) -> int:
    """Bytes of packed weights of every model in a folder, loaded as the service loads them; without tables."""
    registry = Registry(Settings(weights_dir=weights), torch.device("cpu"))
    registry.load_all()
    return sum(t.numel() * t.element_size() for p in registry.predictors.values() for t in _packed(p))


def _packed(predictor: Predictor) -> Iterator[Tensor]:
    runner = predictor.runner
    if not isinstance(runner, FusedRunner):
        return
    for layer in (layer for layers in runner.layers for layer in layers):
        yield layer.weight_hh
        yield layer.bias
    yield from (projection.weights for projection in runner.inputs if projection.weights is not None)
    yield from (weights for layers in runner.projections for weights in layers)
    yield from runner.packed_head


def _first_group(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else "0"
