"""A checkpoint's answers to labelled rows, each with its loss, so that the worst can be looked at first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..checkpoint.checkpoint import Checkpoint
from ..errors import BadRow
from ..network.network import Tagger
from ..network.spans import Span, bio_tags, to_spans
from ..runtime.runner import Runner, TorchRunner
from ..text.tokenizers import TOKENIZERS
from .batches import Example
from .calibration import log_probabilities
from .corpora import LabelledText, TaggedText, labels_of
from .data import Rows, encode_rows
from .predicted import Predicted, batches_of_outputs, predict_examples

_SHOWN_LABELS = 10


@dataclass(frozen=True)
class Measured:
    """rows, examples and predicted: the same texts in the same order. A row without any token is not among them."""

    checkpoint: Checkpoint
    device: torch.device
    rows: tuple[LabelledText | TaggedText, ...]
    examples: tuple[Example, ...]
    predicted: Predicted


def check_labels(checkpoint: Checkpoint, rows: Rows, path: Path) -> None:
    """Raises: BadRow at the first row with a label that the model does not have."""
    known = set(checkpoint.labels)
    for row in rows:
        if strange := sorted(labels_of(row) - known):
            shown = ", ".join(checkpoint.labels[:_SHOWN_LABELS])
            more = f" and {len(known) - _SHOWN_LABELS} more" if len(known) > _SHOWN_LABELS else ""
            name = checkpoint.manifest.name
            raise BadRow(path, row.line, f"found the label {strange[0]!r}: {name} has {shown}{more}")


def measure(checkpoint: Checkpoint, rows: Rows, device: torch.device) -> Measured:
    """Rows whose labels are the model's -> its answers."""
    features = checkpoint.network.architecture.features
    tokenizer, labels = checkpoint.manifest.tokenizer, checkpoint.labels
    pairs = [(row, example) for row in rows for example in encode_rows([row], tokenizer, features, labels, None)]
    examples = tuple(example for _, example in pairs)
    runner = TorchRunner(checkpoint.network.to(device), device)
    predicted = predict_examples(runner, examples)
    if isinstance(runner.network, Tagger):
        predicted = _with_losses(runner, runner.network, examples, predicted, bio_tags(labels))
    return Measured(checkpoint, device, tuple(row for row, _ in pairs), examples, predicted)


def _with_losses(
    runner: Runner, network: Tagger, examples: Sequence[Example], predicted: Predicted, tags: Sequence[str]
) -> Predicted:
    """The answers of a tagger, with -log P of the right tags and P of each entity that was found."""
    crf, losses = network.crf, [0.0] * len(examples)
    scores: list[tuple[float, ...]] = [()] * len(examples)
    for rows, batch, emissions in batches_of_outputs(runner, examples):
        lattice = crf.lattice(emissions, batch.lengths)
        right = crf.score(emissions.double(), batch.targets, batch.lengths)
        for b, row in enumerate(rows):
            losses[row] = max(0.0, float(lattice.log_z[b] - right[b]))
            sums, path = crf.text_lattice(lattice, emissions, b, len(examples[row])), predicted.paths[row]
            scores[row] = tuple(
                sums.span_probability(span.start, span.stop, int(path[span.start]), tags.index(f"I-{span.label}"))
                for span in to_spans([tags[k] for k in path])
            )
    return replace(predicted, losses=tuple(losses), span_scores=tuple(scores))


def answers(measured: Measured) -> list[dict[str, Any]]:
    """Each text with the right answer, the model's and its loss (-log P of the right one), the greatest loss first.

    Of a classifier ``line, text, label, predicted, score, loss, right``; of a tagger ``entities`` and ``predicted``
    are lists of ``label, text, start, end``, those predicted with their ``score``.
    """
    is_tagger = measured.predicted.logits is None
    found = _entity_answers(measured) if is_tagger else _label_answers(measured)
    return sorted(found, key=lambda answer: -answer["loss"])


def _label_answers(measured: Measured) -> list[dict[str, Any]]:
    labels = measured.checkpoint.labels
    log_p = log_probabilities(measured.predicted, measured.checkpoint.manifest.temperature)
    out = []
    for row, target, log_scores in zip(measured.rows, measured.predicted.targets, log_p, strict=True):
        best, right = int(log_scores.argmax()), int(target)
        answer = {"line": row.line, "text": row.text, "label": labels[right], "predicted": labels[best]}
        score, loss = math.exp(log_scores[best]), max(0.0, -float(log_scores[right]))
        out.append(answer | {"score": round(score, 6), "loss": round(loss, 6), "right": best == right})
    return out


def _entity_answers(measured: Measured) -> list[dict[str, Any]]:
    tags, tokenize = bio_tags(measured.checkpoint.labels), TOKENIZERS[measured.checkpoint.manifest.tokenizer]
    predicted, out = measured.predicted, []
    for i, row in enumerate(measured.rows):
        tokens = tokenize(row.text)
        meant, found = (
            [
                Span(span.label, tokens[span.start].start, tokens[span.stop - 1].end)
                for span in to_spans([tags[k] for k in path])
            ]
            for path in (predicted.targets[i], predicted.paths[i])
        )
        shown = [
            _entity(row.text, span) | {"score": round(score, 6)}
            for span, score in zip(found, predicted.span_scores[i], strict=True)
        ]
        answer = {"line": row.line, "text": row.text, "entities": [_entity(row.text, span) for span in meant]}
        out.append(answer | {"predicted": shown, "loss": round(predicted.losses[i], 6), "right": meant == found})
    return out


def _entity(text: str, span: Span) -> dict[str, Any]:
    return {"label": span.label, "text": text[span.start : span.stop], "start": span.start, "end": span.stop}
