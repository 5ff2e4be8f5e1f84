"""Batches go where they are done first, and are answered alike wherever they go."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint.checkpoint import Checkpoint, load_checkpoint
from models.inference.inspection import Inspection, Plan, plan
from models.inference.prediction import Prediction, Prepared
from models.inference.predictor import Predictor
from models.inference.routing import RoutedPredictor
from service.engine.pace import Pace

from ...card import Card
from ...conftest import TINY
from .test_predictor import TEXTS

CPU = torch.device("cpu")
WARM_UP = "我想吃汉堡 The quick brown fox"


class Clock:
    """A time that only the slow predictors move."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Slow(Predictor):
    """Takes `start` seconds a batch and `each` a token; the work itself is done by torch's kernels."""

    def __init__(self, checkpoint: Checkpoint, clock: Clock, start: float, each: float) -> None:
        super().__init__(checkpoint, CPU, kernel="torch")
        self.clock, self.start, self.each, self.batches = clock, start, each, 0

    def run(self, texts: Sequence[Prepared], inspection_plan: Plan | None = None) -> list[Prediction]:
        self.clock.now += self.start + self.each * sum(len(text) for text in texts)
        self.batches += 1
        return super().run(texts, inspection_plan)


@pytest.mark.parametrize(("start", "each"), [(1e-3, 1e-6), (5e-4, 4e-6), (3e-3, 1e-7)])
def test_each_size_runs_where_it_is_faster(
    tiny_checkpoint: Callable[..., Checkpoint], start: float, each: float
) -> None:
    clock, checkpoint = Clock(), tiny_checkpoint()
    cpu, card = Slow(checkpoint, clock, 1e-4, 1e-5), Slow(checkpoint, clock, start, each)
    routed = RoutedPredictor(cpu, card, Pace, clock)
    routed.learn(WARM_UP)
    crossing = (start - 1e-4) / (1e-5 - each)
    for count in (1, 2, 4, 8, 16, 32, 64, 128):
        texts = [routed.prepare(WARM_UP)] * count
        tokens = sum(map(len, texts))
        before = cpu.batches, card.batches
        routed.run(texts)
        ran = (cpu.batches - before[0], card.batches - before[1])
        if not 0.7 < tokens / crossing < 1.4:  # beside the crossing both are about as fast
            assert ran == ((1, 0) if tokens < crossing else (0, 1))


def test_kinds_of_work_are_told_apart(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    """A card may be faster for predictions and slower where everything is returned."""
    clock, checkpoint = Clock(), tiny_checkpoint()
    cpu, card = Slow(checkpoint, clock, 0, 1e-5), Slow(checkpoint, clock, 0, 1e-6)
    routed = RoutedPredictor(cpu, card, Pace, clock)
    everything = plan(Inspection(), routed.shape)
    for _ in range(50):
        for place, pace in zip(routed.places, (1e-5, 1e-6), strict=True):
            place.paces["predict"].measured(100, 100 * pace)
        for place, pace in zip(routed.places, (1e-5, 1e-4), strict=True):
            place.paces["inspect"].measured(100, 100 * pace)
    texts = [routed.prepare(WARM_UP)] * 10
    routed.run(texts)
    assert (cpu.batches, card.batches) == (0, 1)
    routed.run(texts, everything)
    assert (cpu.batches, card.batches) == (1, 1)


@pytest.mark.parametrize("name", sorted(TINY))
def test_answers_are_alike_and_certificates_name_where_they_ran(name: str, weights_dir: Path) -> None:
    with Card() as there:
        cpu = Predictor(load_checkpoint(weights_dir / name), CPU)
        card = Predictor(load_checkpoint(weights_dir / name), there.device)
        routed = RoutedPredictor(cpu, card, Pace)
        answers = []
        for slower, device in ((1, "cpu"), (0, "lazy")):
            for _ in range(60):
                for n, place in enumerate(routed.places):
                    place.paces["inspect"].measured(30, 100.0 if n == slower else 1e-6)
            answers.append(routed.predict(TEXTS, Inspection()))
            for answer in answers[-1]:
                assert answer.inside
                assert answer.inside.certificate.device == device
                assert (answer.inside.certificate.kernel == "torch") == (
                    device == "lazy" or cpu.runner.kernel == "torch"
                )
        for a, b in zip(*answers, strict=True):
            assert np.abs(a.logits - b.logits).max() < 1e-5
            assert a.inside
            assert b.inside
            for tensor, values in a.inside.tensors.items():
                assert np.abs(values - b.inside.tensors[tensor]).max() < 1e-5
