"""Influence against distance: medians over texts of what autograd gives for each text alone."""

import numpy as np
import pytest
import torch

from models.network.network import Tagger
from models.training.batches import Example
from models.training.influence import DISTANCES, FEWEST, influence
from tests.models.analysis.networks import KINDS, Kind, logit, make


def examples() -> list[Example]:
    """Two dozen texts of unlike lengths, in no order of length: more than one batch."""
    rng = np.random.default_rng(0)
    lengths = rng.permutation(np.arange(24) % 20 + 3)
    return [Example({"token": rng.integers(1, 9, (n, 1))}, np.array(0)) for n in lengths]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_medians_are_those_of_each_text_by_autograd(kind: Kind) -> None:
    network, texts = make(kind), examples()
    norms = []
    for text in texts:
        ids = torch.as_tensor(text.ids["token"])
        x = network.embedding({"token": ids[None]})[0].requires_grad_()
        at = len(text) - 1 if isinstance(network, Tagger) else None
        best = max(logit(network, x, target, at) for target in range(network.architecture.outputs))
        (gradient,) = torch.autograd.grad(best, x)
        norms.append(gradient.norm(dim=1).flip(0).tolist())

    rows = influence(network, texts, torch.device("cpu"))

    assert [row["distance"] for row in rows] == [d for d in DISTANCES if sum(len(n) > d for n in norms) >= FEWEST]
    for row in rows:
        there = [n[int(row["distance"] or 0)] for n in norms if len(n) > int(row["distance"] or 0)]
        assert row["texts"] == len(there)
        assert row["median"] == pytest.approx(float(np.median(there)), rel=1e-3)
