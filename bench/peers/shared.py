"""The model that every peer serves: the same file, vocabulary, tokens and kernel as ours, to compare servers alone.

The environment selects it: BENCH_MODEL, a model's folder, and BENCH_KERNEL, a name for
`models.runtime.cpu.kernel.choose`.
"""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from models.checkpoint.checkpoint import load_checkpoint
from models.inference.predictor import Predictor
from models.runtime.cpu.fused import FusedRunner
from models.runtime.cpu.tables import tabulate

TABLE_BYTES = 128_000_000  # of looked-up inputs, the service's default
PredictBatch = Callable[[list[str]], list[dict[str, Any]]]


def load() -> PredictBatch:
    """`predict_batch`: one answer, ``{"labels": [{"label", "score"}, ...]}``, for each text.

    Raises: KeyError where the environment lacks one of the two; CheckpointError, KernelUnavailable.
    """
    torch.set_num_threads(1)
    checkpoint = load_checkpoint(Path(os.environ["BENCH_MODEL"]))
    predictor = Predictor(checkpoint, torch.device("cpu"), kernel=os.environ["BENCH_KERNEL"])
    if isinstance(predictor.runner, FusedRunner):
        tabulate([predictor.runner], TABLE_BYTES)

    def predict_batch(texts: list[str]) -> list[dict[str, Any]]:
        return [
            {"labels": [{"label": label, "score": score} for label, score in prediction.scores or ()]}
            for prediction in predictor.predict(texts)
        ]

    predict_batch(["我想吃汉堡"])
    gc.collect()
    gc.freeze()  # as in ours: a full collection with torch imported takes a tenth of a second
    return predict_batch
