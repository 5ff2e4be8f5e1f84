"""Whether a model is as often right as its scores say, and what makes it so: a temperature (Guo et al. 2017), biases.

A score is that of a classifier's best label, or the probability of an entity that a tagger found. A classifier's
temperature stands in its manifest; a tagger's divides the weights of its head and its CRF, so that emissions stay
linear in the states and the best paths stay what they are.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..network.crf import FORBIDDEN, LinearChain, TextLattice
from ..network.network import Tagger
from ..network.spans import Span, bio_tags, to_spans
from ..runtime.runner import Runner
from .batches import Example
from .predicted import Predicted, batches_of_outputs

BINS = 15


@dataclass(frozen=True)
class Bin:
    """Answers whose scores lie in (low, high]: how many, their mean score, and the share that is right."""

    low: float
    high: float
    answers: int
    score: float
    right: float


def reliability(predicted: Predicted, labels: Sequence[str], temperature: float) -> list[Bin]:
    """The bins of equal width that hold an answer, from the lowest."""
    scores, right = _scored(predicted, labels, temperature)
    place = np.minimum((scores * BINS).astype(int), BINS - 1)
    return [
        Bin(b / BINS, (b + 1) / BINS, int(inside.sum()), float(scores[inside].mean()), float(right[inside].mean()))
        for b in range(BINS)
        if (inside := place == b).any()
    ]


def expected_calibration_error(bins: Sequence[Bin]) -> float | None:
    """Mean distance between score and share of right answers, weighed by the answers; None where there are none."""
    answers = sum(b.answers for b in bins)
    return sum(abs(b.score - b.right) * b.answers for b in bins) / answers if answers else None


def temperature(predicted: Predicted) -> float:
    """The one number that divides a classifier's logits so that its loss is least."""
    assert predicted.logits is not None
    logits, targets = torch.tensor(predicted.logits, dtype=torch.float64), torch.tensor(np.array(predicted.targets))
    grid = _grid(400)
    losses = [float(nn.functional.cross_entropy(logits / t, targets)) for t in grid]
    return round(grid[int(np.argmin(losses))], 3)


@torch.enable_grad()
def label_biases(predicted: Predicted) -> NDArray[np.float64]:
    r"""What added to a classifier's logits, before the temperature divides them, makes the loss least: float64 [label].

    ``min_{s, c} -sum_i log softmax(s z_i + c)[y_i] + |c|^2 / 2``, and ``b = c / s``: the square keeps the bias of a
    label finite that dev has none of, or that is never mistaken. Source: Alexandari et al. 2020 (bias-corrected
    temperature scaling).
    """
    assert predicted.logits is not None
    logits, targets = torch.tensor(predicted.logits, dtype=torch.float64), torch.tensor(np.array(predicted.targets))
    log_scale = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    shift = torch.zeros(logits.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_scale, shift], max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        scores = log_scale.exp() * logits + shift
        total = nn.functional.cross_entropy(scores, targets, reduction="sum") + shift.square().sum() / 2
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    found: NDArray[np.float64] = (shift / log_scale.exp()).detach().numpy()
    return found


def _grid(points: int) -> list[float]:
    """Temperatures from 0.25 to 6."""
    grid: list[float] = np.geomspace(0.25, 6.0, points).tolist()
    return grid


@torch.no_grad()
def tagger_temperature(runner: Runner, network: Tagger, examples: Sequence[Example], labels: Sequence[str]) -> float:
    """The one number that divides a tagger's emissions and transitions so that its entities' scores fit best.

    That is where -log P of "this entity is right", or of "it is not", is least, summed over the entities that it finds:
    the paths stay the same. -log P of whole paths has its least elsewhere, for most of it is O.
    """
    grid: list[float] = np.geomspace(0.5, 2.0, 13).tolist()
    chains, losses, tags = [_divided(network.crf, t) for t in grid], [0.0] * len(grid), bio_tags(labels)
    for _, batch, emissions in batches_of_outputs(runner, examples):
        spans = _spans(network.crf.viterbi(emissions, batch.lengths), tags)
        meant = _spans([row[:n] for row, n in zip(batch.targets.tolist(), batch.lengths.tolist(), strict=True)], tags)
        for i, (t, crf) in enumerate(zip(grid, chains, strict=True)):
            lattice = crf.lattice(emissions / t, batch.lengths)
            for b, found in enumerate(spans):
                sums = crf.text_lattice(lattice, emissions / t, b, int(batch.lengths[b])) if found else None
                if sums:
                    losses[i] += sum(_loss(span, span in meant[b], sums, tags) for span in found)
    return round(grid[int(np.argmin(losses))], 3)


def _spans(paths: Sequence[Sequence[int]], tags: Sequence[str]) -> list[list[Span]]:
    return [to_spans([tags[k] for k in path]) for path in paths]


def _loss(span: Span, is_right: bool, sums: TextLattice, tags: Sequence[str]) -> float:
    """-log P of what is true of an entity."""
    first, inside = tags.index(f"B-{span.label}"), tags.index(f"I-{span.label}")
    p = sums.span_probability(span.start, span.stop, first, inside)
    return -float(np.log(max(p if is_right else 1 - p, 1e-12)))


@torch.no_grad()
def divide_scores(network: Tagger, temperature: float) -> None:
    """Divide a tagger's emissions and transitions, but for the forbidden ones."""
    for scores in network.head.parameters():
        scores.div_(temperature)
    network.crf.load_state_dict(_divided(network.crf, temperature).state_dict())


@torch.no_grad()
def _divided(crf: LinearChain, temperature: float) -> LinearChain:
    divided = copy.deepcopy(crf)
    for scores in divided.parameters():
        scores.copy_(torch.where(scores <= FORBIDDEN, scores, scores / temperature))
    return divided


def log_probabilities(predicted: Predicted, temperature: float) -> NDArray[np.float64]:
    """log P of each label of a classifier: float64 [text, label]."""
    assert predicted.logits is not None
    logits = torch.tensor(predicted.logits, dtype=torch.float64) / temperature
    found: NDArray[np.float64] = torch.log_softmax(logits, dim=1).numpy()
    return found


def _scored(
    predicted: Predicted, labels: Sequence[str], temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The score of each answer, and whether it is right."""
    if predicted.logits is not None:
        log_p = log_probabilities(predicted, temperature)
        return np.exp(log_p.max(1)), log_p.argmax(1) == np.array(predicted.targets)
    tags, right, scores = bio_tags(labels), list[bool](), list[float]()
    for path, target, span_scores in zip(predicted.paths, predicted.targets, predicted.span_scores, strict=True):
        meant = set(to_spans([tags[k] for k in target]))
        right += [span in meant for span in to_spans([tags[k] for k in path])]
        scores += span_scores
    return np.array(scores), np.array(right, np.bool_)
