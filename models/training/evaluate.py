"""A checkpoint on labelled data: figures overall, by label and by length, and how far back its output looks."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..checkpoint.checkpoint import Checkpoint
from ..errors import TrainingError
from ..runtime.cpu.fused import FusedRunner
from ..runtime.cpu.kernel import choose
from ..runtime.runner import TorchRunner
from .batches import Example
from .data import Rows, encode_rows
from .influence import Influence, influence
from .metrics import (
    Predicted,
    accuracy,
    by_length,
    differing,
    expected_calibration_error,
    f1,
    label_f1,
    macro_f1,
    precision_recall,
    predict_examples,
)

EVALUATION = "evaluation.json"


@dataclass(frozen=True)
class Evaluation:
    """metrics: the headline figures; by_label and by_length: the same, in parts; influence: `influence.influence`.

    bfloat16: the headline figures with the recurrences' weights in bfloat16, and ``texts_answered_otherwise``; None
    where there is no fused kernel, which alone computes so.
    """

    texts: int
    metrics: dict[str, float]
    by_label: dict[str, float]
    by_length: list[dict[str, float | int | None]]
    influence: Influence
    bfloat16: dict[str, float] | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def evaluate(checkpoint: Checkpoint, rows: Rows, device: torch.device) -> Evaluation:
    """Raises: TrainingError where a label of the rows is not one of the model's."""
    known = set(checkpoint.labels)
    for row in rows:
        labels = {row.label} if hasattr(row, "label") else {entity.label for entity in row.entities}
        if strange := sorted(labels - known):
            raise TrainingError(
                f"the data have the label {strange[0]!r}; {checkpoint.manifest.name} has {sorted(known)}"
            )
    features = checkpoint.network.architecture.features
    examples = encode_rows(rows, checkpoint.manifest.tokenizer, features, checkpoint.labels, None)
    network = checkpoint.network.to(device)
    predicted = predict_examples(TorchRunner(network, device), examples)
    return Evaluation(
        len(examples),
        _metrics(predicted, checkpoint),
        {label: round(label_f1(predicted, checkpoint.labels, label), 4) for label in checkpoint.labels},
        by_length(predicted, [len(e) for e in examples], checkpoint.labels),
        influence(network, examples, device),
        _bfloat16(checkpoint, examples, predicted) if device.type == "cpu" else None,
    )


def _metrics(predicted: Predicted, checkpoint: Checkpoint) -> dict[str, float]:
    labels = checkpoint.labels
    if predicted.logits is not None:
        found = {
            "accuracy": accuracy(predicted),
            "macro_f1": macro_f1(predicted, labels),
            "calibration_error": expected_calibration_error(predicted, checkpoint.manifest.temperature),
        }
    else:
        precision, recall = precision_recall(predicted, labels)
        found = {"f1": f1(predicted, labels), "precision": precision, "recall": recall}
    return {name: round(value, 4) for name, value in found.items()}


def _bfloat16(checkpoint: Checkpoint, examples: Sequence[Example], exactly: Predicted) -> dict[str, float] | None:
    kernel = choose("auto")
    if kernel is None:
        return None
    predicted = predict_examples(FusedRunner(checkpoint.network, kernel, "bfloat16"), examples)
    return _metrics(predicted, checkpoint) | {"texts_answered_otherwise": differing(predicted, exactly)}


def store(folder: Path, evaluation: Evaluation, data: str) -> None:
    """Write evaluation.json beside the weights; `data` says what was measured on."""
    text = json.dumps({"data": data, **evaluation.as_json()}, ensure_ascii=False, indent=1)
    (folder / EVALUATION).write_text(text + "\n", "utf-8")
