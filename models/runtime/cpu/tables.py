"""Which features' parts of layer 0 are looked up, where memory does not suffice for all.

A table saves `dimension` multiplications for each of its row's floats, so the gain of a byte is dimension / rows
whatever the network: the best by that measure come first, one that does not fit is passed over for smaller ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ...text.features import FeatureKind
from .fused import FusedRunner

SINGLE: tuple[FeatureKind, ...] = (
    "token",
    "bigram",
    "shape",
)  # kinds of which a token names one row; a bag would be many look-ups


@dataclass(frozen=True)
class Candidate:
    """One feature of one network."""

    runner: FusedRunner
    kind: FeatureKind
    rows: int
    dimension: int

    @property
    def bytes(self) -> int:
        return 4 * self.rows * sum(projection.layer.packed for projection in self.runner.inputs)

    @property
    def gain(self) -> float:
        """Multiplications saved for each float of the table, each time that a row is read."""
        return self.dimension / self.rows


def candidates(runner: FusedRunner) -> list[Candidate]:
    """The features of a network that could be looked up."""
    return [
        Candidate(runner, f.kind, f.rows, f.dimension) for f in runner.network.embedding.features if f.kind in SINGLE
    ]


def tabulate(runners: Iterable[FusedRunner], budget: int) -> int:
    """Make the tables that `budget` bytes hold for all of these networks together; returns the bytes they take."""
    taken = 0
    for candidate in sorted((c for r in runners for c in candidates(r)), key=lambda c: -c.gain):
        if taken + candidate.bytes <= budget:
            candidate.runner.tabulate(candidate.kind)
            taken += candidate.bytes
    return taken
