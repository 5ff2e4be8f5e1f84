"""A checkpoint on labelled data: figures overall, by label and by length, and how far back its output looks."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..checkpoint import Checkpoint
from ..errors import TrainingError
from .data import Rows, encode_rows
from .influence import Influence, influence
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
    """metrics: the headline figures; by_label and by_length: the same, in parts; influence: `influence.influence`."""

    texts: int
    metrics: dict[str, float]
    by_label: dict[str, float]
    by_length: list[dict[str, float | int | None]]
    influence: Influence

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
    predicted = predict_examples(network, examples, device)
    metrics = _metrics(predicted, checkpoint.labels, checkpoint.manifest.temperature)
    return Evaluation(
        len(examples),
        {k: round(v, 4) for k, v in metrics.items()},
        {label: round(label_f1(predicted, checkpoint.labels, label), 4) for label in checkpoint.labels},
        by_length(predicted, [len(e) for e in examples], checkpoint.labels),
        influence(network, examples, device),
    )


def _metrics(predicted: Predicted, labels: Sequence[str], temperature: float) -> dict[str, float]:
    if predicted.logits is not None:
        return {
            "accuracy": accuracy(predicted),
            "macro_f1": macro_f1(predicted, labels),
            "calibration_error": expected_calibration_error(predicted, temperature),
        }
    precision, recall = precision_recall(predicted, labels)
    return {"f1": f1(predicted, labels), "precision": precision, "recall": recall}


def store(folder: Path, evaluation: Evaluation, data: str) -> None:
    """Write evaluation.json beside the weights; `data` says what was measured on."""
    text = json.dumps({"data": data, **evaluation.as_json()}, ensure_ascii=False, indent=1)
    (folder / EVALUATION).write_text(text + "\n", "utf-8")
