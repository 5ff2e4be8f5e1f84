"""Several trainings of one network made one: the mean of their weights, calibrated and measured on dev.

Runs of one seed that differ in their last epochs, or in how often a file is read, end near enough to each other for
the mean of their weights to be a model; runs of two seeds seldom do. The members' figures beside the mean's say which
it was.

Source: Wortsman et al. 2022 (model soups).
"""

import copy
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..checkpoint.checkpoint import Checkpoint, load_checkpoint
from ..checkpoint.manifest import NAME
from ..errors import TrainingError
from ..network.network import Classifier, Tagger
from ..runtime.runner import TorchRunner
from .batches import Example
from .calibration import divide_scores, tagger_temperature, temperature
from .card import Member, Origin, read_past
from .data import encode_rows, read_rows
from .measured import check_labels
from .metrics import summary
from .predicted import predict_examples
from .produce import check_free, new_folder, write_model
from .readers import USUAL, Layout

_CPU = torch.device("cpu")


def produce_average(
    members: Sequence[Path],
    shares: Sequence[float],
    name: str,
    dev: Path,
    out: Path,
    command: str,
    layout: Layout = USUAL,
    replace_older: bool = False,
) -> tuple[Checkpoint, tuple[Member, ...]]:
    """Average models, measure on dev, and write `out`/<name>; description, terms and limits are the first member's.

    members: their folders; shares: of each in the mean, above 0, of any sum.
    Raises: CheckpointError, TrainingError where they cannot be averaged or the folder is there, BadRow.
    """
    if not re.fullmatch(NAME, name):
        raise TrainingError(f"the name {name!r} is no model's: 1 to 64 letters, digits, dots, dashes and underscores")
    check_free(out / name, replace_older)
    checkpoints = [load_checkpoint(folder) for folder in members]
    network = mean_network(checkpoints, shares)
    first = checkpoints[0].manifest
    rows = read_rows(first.task, first.language, dev, layout)
    check_labels(checkpoints[0], rows, dev)
    examples = encode_rows(rows, first.tokenizer, network.architecture.features, checkpoints[0].labels, None)
    manifest = first.model_copy(
        update={"name": name, "temperature": _calibrated(network, examples, checkpoints[0].labels)}
    )
    listed = tuple(
        Member(share / sum(shares), _figure(one, examples), read_past(folder))
        for folder, share, one in zip(members, shares, checkpoints, strict=True)
    )
    with new_folder(out / name) as aside:
        made = replace(checkpoints[0], manifest=manifest, network=network)
        write_model(aside, made, dev, rows, Origin(command, listed[0].past.limits, members=listed))
    return load_checkpoint(out / name), listed


@torch.no_grad()
def mean_network(checkpoints: Sequence[Checkpoint], shares: Sequence[float]) -> Classifier | Tagger:
    r"""``w = sum_i share_i w_i / sum_i share_i`` for every weight.

    Raises: TrainingError where there are fewer than two, or one differs from the first in more than its weights.
    """
    if len(checkpoints) < 2 or len(checkpoints) != len(shares) or not all(0 < s < math.inf for s in shares):
        raise TrainingError(
            f"{len(checkpoints)} models and the shares {list(shares)}: an average is of two or more models, "
            "with a share above 0 for each"
        )
    for other in checkpoints[1:]:
        if differing := _differing(checkpoints[0], other):
            raise TrainingError(
                f"{checkpoints[0].manifest.name} and {other.manifest.name} differ in {' and '.join(differing)}: "
                "only models of one shape that were trained on the same files can be averaged"
            )
    states = [one.network.state_dict() for one in checkpoints]
    network = copy.deepcopy(checkpoints[0].network)
    total = sum(shares)
    network.load_state_dict(
        {
            key: sum(share / total * state[key].double() for share, state in zip(shares, states, strict=True)).to(
                value.dtype
            )
            for key, value in states[0].items()
        }
    )
    return network


def _differing(one: Checkpoint, other: Checkpoint) -> list[str]:
    """What must be the same of two models for the mean of their weights to mean something."""
    shapes = [c.network.architecture for c in (one, other)]
    facts: dict[str, list[Any]] = {
        "task": [s.task for s in shapes],
        "cell": [s.cell for s in shapes],
        "units": [s.units for s in shapes],
        "layers": [s.layers for s in shapes],
        "directions": [s.directions for s in shapes],
        "what the head reads": [s.reads for s in shapes],
        "tokenizer": [c.manifest.tokenizer for c in (one, other)],
        "labels": [c.labels for c in (one, other)],
        "input features": [[(f.kind, f.rows, f.dimension) for f in s.features] for s in shapes],
        "vocabulary": [[f.vocabulary.forms for f in s.features if f.vocabulary] for s in shapes],
    }
    return [name for name, (first, second) in facts.items() if first != second]


def _calibrated(network: Classifier | Tagger, examples: Sequence[Example], labels: Sequence[str]) -> float:
    """The manifest's temperature; a tagger's divides its scores instead, see `calibration`."""
    runner = TorchRunner(network, _CPU)
    if isinstance(network, Classifier):
        return temperature(predict_examples(runner, examples))
    divide_scores(network, tagger_temperature(runner, network, examples, labels))
    return 1.0


def _figure(checkpoint: Checkpoint, examples: Sequence[Example]) -> float:
    return summary(TorchRunner(checkpoint.network, _CPU), checkpoint.labels, examples)
