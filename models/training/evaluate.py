"""A checkpoint on labelled data: figures overall, by label and by length, stored beside the weights."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..checkpoint import Checkpoint
from ..errors import TrainingError
from .batches import Example
from .data import Rows, encode_rows
from .metrics import (
    Predicted,
    accuracy,
    by_length,
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
    """metrics: the headline figures; by_label and by_length: the same, in parts."""

    texts: int
    metrics: dict[str, float]
    by_label: dict[str, float]
    by_length: list[dict[str, float | int | None]]

    def as_json(self) -> dict[str, Any]:
        return {"texts": self.texts, "metrics": self.metrics, "by_label": self.by_label, "by_length": self.by_length}


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
    predicted = predict_examples(checkpoint.network.to(device), examples, device)
    return figures(predicted, examples, checkpoint.labels, checkpoint.manifest.temperature)


def figures(predicted: Predicted, examples: Sequence[Example], labels: Sequence[str], temperature: float) -> Evaluation:
    if predicted.logits is not None:
        metrics = {
            "accuracy": accuracy(predicted),
            "macro_f1": macro_f1(predicted, labels),
            "calibration_error": expected_calibration_error(predicted, temperature),
        }
    else:
        precision, recall = precision_recall(predicted, labels)
        metrics = {"f1": f1(predicted, labels), "precision": precision, "recall": recall}
    return Evaluation(
        len(examples),
        {k: round(v, 4) for k, v in metrics.items()},
        {label: round(label_f1(predicted, labels, label), 4) for label in labels},
        by_length(predicted, [len(e) for e in examples], labels),
    )


def store(folder: Path, evaluation: Evaluation, data: str) -> None:
    """Write evaluation.json beside the weights; `data` says what was measured on."""
    text = json.dumps({"data": data, **evaluation.as_json()}, ensure_ascii=False, indent=1)
    (folder / EVALUATION).write_text(text + "\n", "utf-8")
