"""Which features of layer 0 are looked up in tables, within a memory budget.

Each float read from a table saves `dimension` multiplications, so the gain of a byte is dimension / rows, whatever the
network: features are tried in the order of this gain, and one that does not fit is skipped.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ...text.features import FeatureKind
from .fused import FusedRunner

# Kinds with one id a token; a bag of ids would need one look-up for each id.
SINGLE: tuple[FeatureKind, ...] = ("token", "bigram", "shape", "gap")


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
        """Multiplications saved for each float of the table when a row is read, over the number of rows."""
        return self.dimension / self.rows


def candidates(runner: FusedRunner) -> list[Candidate]:
    """The features of a network that can be looked up."""
    return [
        Candidate(runner, f.kind, f.rows, f.dimension) for f in runner.network.embedding.features if f.kind in SINGLE
    ]


def tabulate(runners: Iterable[FusedRunner], budget: int) -> int:
    """Make the tables that fit in `budget` bytes for all of these networks together; returns the bytes used."""
    used = 0
    for candidate in sorted((c for r in runners for c in candidates(r)), key=lambda c: -c.gain):
        if used + candidate.bytes <= budget:
            candidate.runner.tabulate(candidate.kind)
            used += candidate.bytes
    return used


def table_bytes(runner: FusedRunner) -> int:
    """The bytes of the tables that this network has."""
    return sum(4 * table.numel() for projection in runner.inputs for table in projection.tables.values())
