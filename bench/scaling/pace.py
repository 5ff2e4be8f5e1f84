"""What one core does: texts and tokens a second, the bytes of an answer, beside a small transformer.

`python -m bench.scaling.pace` prints its results as JSON, so that it can run in the environment that has ONNX Runtime.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import torch

from models.checkpoint.checkpoint import load_checkpoint
from models.inference.inspection import Inspection
from models.inference.predictor import Predictor
from models.runtime.cpu.fused import FusedRunner
from models.runtime.cpu.tables import tabulate
from service.wire.rendering import JSON, SAFETENSORS, Style, answer

from ..contenders import TABLE_BYTES
from ..kernels import one_core
from ..ratios import measure
from ..results import versions
from ..texts import texts
from .transformer import ABSENT, LAYERS, WIDTH, has_onnx, on_onnx_runtime, random_ids, random_transformer

MODELS = ("zh-sentiment-lstm", "zh-sentiment-bilstm", "zh-ner-bilstm")
EAGER, ONNX = "transformer, torch", "transformer, ONNX Runtime"
SIZES = ((20, 1), (20, 32), (64, 32))  # tokens, texts
GATES = "with every gate"
_ANSWER_TOKENS = 20


@torch.inference_mode()
def run(weights: Path, rounds: int) -> dict[str, Any]:
    """CPU microseconds of a call, from texts to predictions; of the transformer from ids to logits."""
    kernel = one_core()
    predictors = {name: predictor(weights / name) for name in MODELS}
    transformer = random_transformer()
    size = {"layers": LAYERS, "width": WIDTH, "parameters": sum(p.numel() for p in transformer.parameters())}
    cases = []
    for tokens, count in SIZES:
        calls: dict[str, Callable[[], object]] = {}
        for name, known in predictors.items():
            calls |= predicting(name, known, texts(known.vocabulary, "", [tokens] * count, seed=tokens))
        ids = random_ids(count, tokens)
        calls[EAGER] = lambda ids=ids: transformer(ids)  # type: ignore[misc]
        if has_onnx():
            calls[ONNX] = on_onnx_runtime(transformer, ids)
        cpu, _ = measure(calls, rounds)
        cases.append(
            {
                "tokens": tokens,
                "texts": count,
                "cpu_us": {name: cpu.spread(name).times(1e6).stored() for name in calls},
                "ratios": {name: cpu.ratio(name, MODELS[0]).stored() for name in calls if name != MODELS[0]},
            }
        )
    return {
        "kernel": kernel.name,
        "rounds": rounds,
        "versions": versions("torch", "numpy", "onnxruntime"),
        "left_out": {} if has_onnx() else {ONNX: ABSENT},
        "transformer": size,
        "cases": cases,
        "answers": {name: answer_bytes(known) for name, known in predictors.items()},
    }


def predictor(folder: Path) -> Predictor:
    """With the tables that a server of this model alone makes."""
    loaded = Predictor(load_checkpoint(folder), torch.device("cpu"))
    if isinstance(loaded.runner, FusedRunner):
        tabulate([loaded.runner], TABLE_BYTES)
    return loaded


def predicting(name: str, known: Predictor, given: list[str]) -> dict[str, Callable[[], object]]:
    return {
        name: lambda: known.predict(given),
        f"{name}, {GATES}": lambda: known.predict(given, Inspection()),
    }


def answer_bytes(known: Predictor) -> dict[str, float]:
    """Of one text of 20 tokens: the prediction alone, and with every state and gate."""
    (text,) = texts(known.vocabulary, "", [_ANSWER_TOKENS], seed=1)
    inspected, usage = known.predict([text], Inspection()), {"tokens": _ANSWER_TOKENS}
    gates = {style: answer(known, inspected, usage, Style(style), [text]) for style in (JSON, SAFETENSORS)}
    prediction = answer(known, known.predict([text]), usage, Style(JSON), [text])
    assert len(orjson.loads(prediction)["results"]) == 1
    return {
        "tokens": _ANSWER_TOKENS,
        "prediction": len(prediction),
        "gates_json": len(gates[JSON]),
        "gates_safetensors": len(gates[SAFETENSORS]),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", type=Path, default=Path("weights"))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    json.dump(run(options.weights, options.rounds), sys.stdout)


if __name__ == "__main__":
    main()
