r"""Learning from the answers of other models beside the labels: distillation.

    loss = (1 - a) H(label, p) + a H(q, p),   q = the mean of what the teachers say, a = `Recipe.teacher_share`

A label says that a text is positive, the teachers say how surely; and the mean of several is more often right than
each of them. A network that has learnt it is no larger than without. Where the frequencies of a file's labels are taken
off the logits (`adjust_priors`), H(q, p) is of the logits without them: teachers answer as texts to come are.

Source: Hinton, Vinyals and Dean 2015; for LSTMs Tang et al. 2019.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..checkpoint.checkpoint import Checkpoint, load_checkpoint
from ..errors import TrainingError
from ..network.network import Classifier
from ..runtime.runner import TorchRunner
from ..text.tokenizers import TOKENIZERS
from .calibration import log_probabilities
from .corpora import LabelledText
from .data import Corpus, Part, Rows, encode_rows
from .predicted import predict_examples
from .train import Progress, quiet


def read_teacher(folder: Path) -> Checkpoint:
    """Raises: CheckpointError, TrainingError where the model is a tagger."""
    teacher = load_checkpoint(folder)
    if not isinstance(teacher.network, Classifier):
        raise TrainingError(f"the teacher {teacher.manifest.name} is a tagger: classifiers alone teach and are taught")
    return teacher


def ask_teachers(
    corpus: Corpus, teachers: Sequence[Checkpoint], device: torch.device, progress: Progress[Any] = quiet
) -> Corpus:
    """The same corpus; each labelled row has the mean of the teachers' answers to its text beside its label.

    Raises: TrainingError where a teacher has other labels, or the recipe is a tagger's.
    """
    if corpus.recipe.task != "text-classification":
        raise TrainingError("a teacher is for classifiers: leave --teacher out to train a tagger")
    for teacher in teachers:
        if teacher.labels != corpus.labels:
            raise TrainingError(
                f"the teacher {teacher.manifest.name} answers {', '.join(teacher.labels)}; "
                f"the training rows have {', '.join(corpus.labels)}: they must be the same"
            )
    parts = (*corpus.train, *corpus.extra)
    sums = [np.zeros((len(part.rows), len(corpus.labels))) for part in parts]
    for teacher in progress(teachers, len(teachers), "asking the teachers"):
        for part, total in zip(parts, sums, strict=True):
            if not part.source.neutral:
                total += _answers(teacher, part.rows, corpus.recipe.max_tokens, device)
    taught = [_taught(part, total / len(teachers)) for part, total in zip(parts, sums, strict=True)]
    return replace(
        corpus,
        train=tuple(taught[: len(corpus.train)]),
        extra=tuple(taught[len(corpus.train) :]),
        teachers=tuple(teacher.weights_sha256 for teacher in teachers),
    )


def _taught(part: Part, answers: NDArray[np.float64]) -> Part:
    """The part with an answer beside each row that has a label and that every teacher could read."""
    if part.source.neutral:
        return part
    rows = [
        replace(row, taught=tuple(answer.tolist())) if np.isfinite(answer).all() else row
        for row, answer in zip(part.rows, answers, strict=True)
        if isinstance(row, LabelledText)
    ]
    return replace(part, rows=rows)


def _answers(teacher: Checkpoint, rows: Rows, longest: int, device: torch.device) -> NDArray[np.float64]:
    """P of each label [row, label] at the teacher's temperature; NaN where it finds no token in the text."""
    manifest, features = teacher.manifest, teacher.network.architecture.features
    tokenize = TOKENIZERS[manifest.tokenizer]
    read = [i for i, row in enumerate(rows) if tokenize(row.text)]
    out = np.full((len(rows), len(teacher.labels)), np.nan)
    if not read:
        return out
    texts = [LabelledText(rows[i].text, "") for i in read]
    runner = TorchRunner(teacher.network.to(device), device)
    predicted = predict_examples(runner, encode_rows(texts, manifest.tokenizer, features, teacher.labels, longest))
    out[read] = np.exp(log_probabilities(predicted, manifest.temperature))
    return out
