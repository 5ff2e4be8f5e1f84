"""A network's answers to labelled texts, batch by batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..network.crf import FORBIDDEN
from ..network.network import Classifier, Tagger
from ..runtime.runner import Runner
from .batches import Batch, Example, in_order


@dataclass(frozen=True)
class Predicted:
    """A network's answers to examples, in their order.

    logits: of a classifier, [text, label]; paths: of a tagger, the decoded tags of each text.
    losses and span_scores: of a tagger, where they were asked for: -log P of the right tags of each text, and P of
    each entity of its path, in the order of the text.
    """

    targets: tuple[NDArray[np.int64], ...]
    logits: NDArray[np.float32] | None = None
    paths: tuple[NDArray[np.int64], ...] = ()
    losses: tuple[float, ...] = ()
    span_scores: tuple[tuple[float, ...], ...] = ()


def predict_examples(runner: Runner, examples: Sequence[Example], batch_size: int = 64) -> Predicted:
    """The answers of a classifier or of a tagger, without losses and scores of spans."""
    targets = tuple(example.target for example in examples)
    if isinstance(runner.network, Classifier):
        return Predicted(targets, logits=np.stack(_logits(runner, examples, batch_size)))
    return Predicted(targets, paths=tuple(_paths(runner, runner.network, examples, batch_size)))


def _logits(runner: Runner, examples: Sequence[Example], batch_size: int) -> list[NDArray[np.float32]]:
    logits: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(examples)
    for rows, _, outputs in batches_of_outputs(runner, examples, batch_size):
        for row, values in zip(rows, outputs.cpu().numpy(), strict=True):
            logits[row] = values.copy()
    return logits


def _paths(runner: Runner, network: Tagger, examples: Sequence[Example], batch_size: int) -> list[NDArray[np.int64]]:
    paths: list[NDArray[np.int64]] = [np.empty(0, np.int64)] * len(examples)
    for rows, batch, emissions in batches_of_outputs(runner, examples, batch_size):
        for row, path in zip(rows, network.crf.viterbi(emissions, batch.lengths), strict=True):
            paths[row] = np.array(path)
    return paths


@torch.no_grad()
def batches_of_outputs(
    runner: Runner, examples: Sequence[Example], batch_size: int = 64
) -> Iterator[tuple[NDArray[np.int64], Batch, Tensor]]:
    """The places of a batch's texts in `examples`, the batch, and its logits or the emissions that the texts allow."""
    runner.network.eval()
    for rows, batch in in_order(examples, batch_size):
        run, _ = runner.run(batch.ids, batch.lengths, "nothing")
        outputs = runner.outputs(run)
        if batch.barred is not None:
            outputs = outputs.masked_fill(batch.barred.to(outputs.device), FORBIDDEN)
        yield rows, batch.to(outputs.device), outputs
