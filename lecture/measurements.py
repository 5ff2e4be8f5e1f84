"""What the page tells, measured once for every language: stored evaluations, the recall task, gates and timings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.analysis.reductions import half_life
from models.checkpoint.checkpoint import load_checkpoint
from models.inference.inspection import Inspection
from models.inference.predictor import Predictor
from models.recurrence.cells import Cell

from . import gates, pairs
from .parallel import Steps, training_steps
from .recall import Recipe, recall
from .texts import LONG, NEGATIONS, NEWS, OPINIONS

BELT_MODEL = "zh-sentiment-lstm"
MANY = 16  # texts in a batch, compared with one text

Models = Callable[[str], Predictor]  # by name
Report = Callable[[str], None]  # of progress
Shares = Mapping[Cell, Sequence[Sequence[float]]]  # cell -> [seed][gap], the share of symbols named


@dataclass(frozen=True)
class Effort:
    """How much is trained and timed. timesteps empty: nothing is timed."""

    recipe: Recipe = field(default_factory=Recipe)
    growing: Recipe = field(default_factory=lambda: Recipe(steps=2500, grows=True))
    gaps: tuple[int, ...] = (5, 10, 20, 50, 100, 150, 200)
    seeds: int = 3
    timesteps: tuple[int, ...] = (16, 32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Measurements:
    """influence, by_length: the rows stored by `evaluate`; half_lives: of the units of `BELT_MODEL` over its long text.

    recall: what was trained on -> shares; negations, borders: language of the texts -> gates at these places;
    one, many: training steps with one text and with `MANY`, None where nothing is timed.
    """

    effort: Effort
    influence: pairs.Pairs
    by_length: pairs.Pairs
    recall: Mapping[str, Shares]
    half_lives: NDArray[np.float64]
    negations: Mapping[str, gates.Places]
    borders: Mapping[str, gates.Places]
    one: Steps | None
    many: Steps | None


def loaded_once(weights: Path) -> Models:
    """The models of a folder; each is loaded when it is first asked for."""
    return cache(lambda name: Predictor(load_checkpoint(weights / name), torch.device("cpu")))


def measure(weights: Path, models: Models, effort: Effort, report: Report) -> Measurements:
    """Everything that takes long."""
    recipes = {"gaps of any length": effort.recipe, "gaps that grow": effort.growing}
    with _one_thread():
        shares = {gaps: _shares(effort, recipe, gaps, report) for gaps, recipe in recipes.items()}
    report("gates at negations and at the borders of entities")
    negations, borders = {}, {}
    for language in ("zh", "en"):
        reader, finder = (models(f"{language}-{task}-lstm") for task in ("sentiment", "ner"))
        negations[language] = gates.at_places(reader, OPINIONS[language], gates.negations(NEGATIONS[language]))
        borders[language] = gates.at_places(finder, NEWS[language], gates.borders)
    if effort.timesteps:
        report("training steps, timed")
    one, many = (training_steps(effort.timesteps, texts) if effort.timesteps else None for texts in (1, MANY))
    return Measurements(
        effort,
        pairs.stored(weights, "influence"),
        pairs.stored(weights, "by_length"),
        shares,
        _half_lives(models(BELT_MODEL), LONG["zh"]),
        negations,
        borders,
        one,
        many,
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """For networks so small that threads would wait for one another longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _shares(effort: Effort, recipe: Recipe, gaps: str, report: Report) -> Shares:
    shares: dict[Cell, list[Sequence[float]]] = {cell: [] for cell in pairs.CELLS}
    for cell in pairs.CELLS:
        for seed in range(effort.seeds):
            report(f"{cell.upper()} on {gaps}, seed {seed + 1} of {effort.seeds}")
            shares[cell].append(recall(cell, effort.gaps, recipe, seed))
    return shares


def _half_lives(predictor: Predictor, text: str) -> NDArray[np.float64]:
    (prediction,) = predictor.predict([text], Inspection(("forget_gate",)))
    assert prediction.inside is not None
    return np.asarray(half_life(prediction.inside.tensors["forget_gate"].astype(np.float64)), np.float64)
