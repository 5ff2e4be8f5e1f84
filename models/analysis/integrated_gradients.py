r"""Integrated gradients: the gradient, averaged on the straight way from zero embeddings to the text's.

    contribution_s = x_s . integral_0^1 (d logit / d x_s)(alpha x) d alpha      sum_s contribution_s = F(x) - F(0)

The integral is a sum over panels of [0, 1], each with a Gauss-Legendre rule. That F(b x) - F(a x) is the sum over the
panel's contributions is known of every panel, so the panels that miss it are halved, and the nodes of all new panels
run as one batch, until the whole sum is right or the bound on nodes is reached. The bound is one of work, nodes x
tokens: no text costs more than 60 predictions of 512 tokens, by tokens read, or of its own length where it is longer.
A short text on a pooled network may use a thousand nodes, for there each maximum makes a kink and 512 miss by 2e-3.

Source: Sundararajan et al. 2017. Equality with autograd's Riemann sum shown in tests/models/analysis.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .arrays import einsum, fetched, host, where_it_is
from .attribution import Attribution, Options
from .backward import backward
from .readout import read_out
from .subject import Subject

TOLERANCE = 5e-4  # of max(1, |logit|): what the panels may miss together
_RULE = 4  # nodes of a panel
_FIRST_PANELS = 2
_FEWEST, _MOST, _WORK = 16, 1024, 10240  # nodes: at least, at most, and nodes x tokens
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """A part [low, high] of the way: its share of the contributions [time], and F(low x), F(high x)."""

    low: float
    high: float
    contributions: Values
    logit_low: float
    logit_high: float

    @property
    def error(self) -> float:
        """Signed: what the contributions have too much."""
        return float(self.contributions.sum()) - (self.logit_high - self.logit_low)

    @property
    def halves(self) -> tuple[tuple[float, float], tuple[float, float]]:
        middle = (self.low + self.high) / 2
        return (self.low, middle), (middle, self.high)


def most_nodes(tokens: int) -> int:
    """The bound on nodes for a text of so many tokens."""
    return max(_FEWEST, min(_MOST, _WORK // max(1, tokens)))


def integrated_gradients(
    subject: Subject, options: Options, most: int | None = None, tolerance: float = TOLERANCE
) -> Attribution:
    """most: the bound on nodes, by default `most_nodes`; tolerance: of max(1, |logit|)."""
    bound = most_nodes(len(subject)) if most is None else most
    x = torch.from_numpy(subject.runs.runner.embedded(subject.runs.ids)).to(subject.network.head.weight.device)
    allowed = tolerance * max(1.0, abs(subject.logit))
    panels = _panels(subject, x, [(n / _FIRST_PANELS, (n + 1) / _FIRST_PANELS) for n in range(_FIRST_PANELS)])
    nodes = _RULE * len(panels)
    while sum(abs(p.error) for p in panels) >= allowed and nodes + 2 * _RULE <= bound:
        panels.sort(key=lambda p: -abs(p.error))
        worst = [p for p in panels[: (bound - nodes) // (2 * _RULE)] if abs(p.error) >= allowed / len(panels)]
        halves = _panels(subject, x, [half for p in worst for half in p.halves])
        panels = panels[len(worst) :] + halves
        nodes += _RULE * len(halves)
    contributions = np.sum([p.contributions for p in panels], axis=0)
    bias = next(p.logit_low for p in panels if p.low == 0)
    return Attribution("integrated_gradients", subject.output, contributions, bias, subject.logit, nodes=nodes)


def _panels(subject: Subject, x: Tensor, parts: list[tuple[float, float]]) -> list[Panel]:
    """The panels of these parts of the way, all their nodes as one batch."""
    points, weights = np.polynomial.legendre.leggauss(_RULE)
    slopes = _slopes(subject, x, [low + (high - low) * (point + 1) / 2 for low, high in parts for point in points])
    logits = _logits(subject, x, [edge for part in parts for edge in part])
    return [
        Panel(
            low,
            high,
            (high - low) / 2 * (weights @ slopes[n * _RULE : (n + 1) * _RULE]),
            logits[2 * n],
            logits[2 * n + 1],
        )
        for n, (low, high) in enumerate(parts)
    ]


def _slopes(subject: Subject, x: Tensor, alphas: list[float]) -> Values:
    """x_s . d logit / d x_s at each point of the way: [point, time]."""
    network, count = subject.network, len(alphas)
    scaled = torch.tensor(alphas, dtype=x.dtype, device=x.device)[:, None, None] * x
    run, activations = subject.runs.runner.run_inputs(scaled, torch.full((count,), len(subject)), "gates")
    assert activations is not None
    timesteps = None if subject.timesteps is None else subject.timesteps * count
    readout = read_out(network, run, [subject.output.index] * count, timesteps)
    gradient = backward(network.encoder, activations, readout.weights, run.lengths, "tangent").inputs
    return fetched(einsum("bti,ti->bt", gradient, where_it_is(x)))


def _logits(subject: Subject, x: Tensor, alphas: list[float]) -> list[float]:
    """F(alpha x) of each point."""
    runner = subject.runs.runner
    scaled = torch.tensor(alphas, dtype=x.dtype, device=x.device)[:, None, None] * x
    run, _ = runner.run_inputs(scaled, torch.full((len(alphas),), len(subject)), "nothing")
    outputs = runner.outputs(run)
    at = outputs if subject.output.timestep is None else outputs[:, subject.output.timestep]
    return [float(value) for value in host(at[:, subject.output.index])]
