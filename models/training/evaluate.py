"""A checkpoint on labelled data: figures overall, by label and by length, and how far back its output looks."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..analysis.method_reports import MethodReport
from ..checkpoint.checkpoint import Checkpoint
from ..runtime.cpu.fused import FusedRunner
from ..runtime.cpu.kernel import choose
from .batches import Example
from .calibration import Bin, expected_calibration_error, reliability
from .confusion import Confusion, confusion
from .explained import faithfulness_reports
from .influence import Influence, influence
from .measured import Measured
from .metrics import LabelScore, accuracy, by_length, differing, f1, label_scores, macro_f1, precision_recall
from .predicted import Predicted, predict_examples

EVALUATION = "evaluation.json"


@dataclass(frozen=True)
class Evaluation:
    """metrics: the headline figures; by_label and by_length: the same, in parts; influence: `influence.influence`.

    calibration_error and reliability: of a classifier's best labels, or of the entities that a tagger found.
    faithfulness: of each attribution method that a default may be chosen from.
    bfloat16: the headline figures with the recurrences' weights in bfloat16, and ``texts_answered_otherwise``; None
    where there is no fused kernel, which alone computes so.
    """

    texts: int
    metrics: dict[str, float]
    by_label: list[LabelScore]
    by_length: list[dict[str, float | int | None]]
    confusion: Confusion
    calibration_error: float | None
    reliability: list[Bin]
    influence: Influence
    faithfulness: list[MethodReport]
    bfloat16: dict[str, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """Numbers rounded to four decimals; ``mistakes``: the most frequent first, null for no entity."""
        found = self.confusion.most_frequent()
        mistakes = [{"label": label or None, "predicted": other or None, "count": n} for label, other, n in found]
        return {
            "texts": self.texts,
            "metrics": self.metrics,
            "by_label": {score.label: _rounded(score) for score in self.by_label},
            "by_length": self.by_length,
            "mistakes": mistakes,
            "calibration_error": None if self.calibration_error is None else round(self.calibration_error, 4),
            "reliability": [_rounded(b) for b in self.reliability],
            "influence": self.influence,
            "faithfulness": [asdict(report) for report in self.faithfulness],
            "bfloat16": self.bfloat16,
        }


def _rounded(row: LabelScore | Bin) -> dict[str, float | int]:
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(row).items() if k != "label"}


def evaluate(measured: Measured) -> Evaluation:
    """All figures of a model's answers to labelled rows."""
    checkpoint, predicted, examples = measured.checkpoint, measured.predicted, measured.examples
    labels = checkpoint.labels
    bins = reliability(predicted, labels, checkpoint.manifest.temperature)
    return Evaluation(
        len(examples),
        _metrics(predicted, checkpoint),
        label_scores(predicted, labels),
        by_length(predicted, [len(example) for example in examples], labels),
        confusion(predicted, labels),
        expected_calibration_error(bins),
        bins,
        influence(checkpoint.network, examples, measured.device),
        faithfulness_reports(measured),
        _bfloat16(checkpoint, examples, predicted) if measured.device.type == "cpu" else None,
    )


def _metrics(predicted: Predicted, checkpoint: Checkpoint) -> dict[str, float]:
    labels = checkpoint.labels
    if predicted.logits is not None:
        error = expected_calibration_error(reliability(predicted, labels, checkpoint.manifest.temperature))
        found = {"accuracy": accuracy(predicted), "macro_f1": macro_f1(predicted, labels), "calibration_error": error}
    else:
        precision, recall = precision_recall(predicted, labels)
        found = {"f1": f1(predicted, labels), "precision": precision, "recall": recall}
    return {name: round(value, 4) for name, value in found.items() if value is not None}


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
