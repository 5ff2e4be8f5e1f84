"""One launch of recurrence.cu: its arrays, and how the texts are shared out over the card."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .compiling import Variant


@dataclass(frozen=True)
class Limits:
    """What a card has. processors: multiprocessors; shared_bytes: of shared memory that a block may take."""

    capability: tuple[int, int]
    processors: int
    shared_bytes: int


@dataclass(frozen=True)
class Problem:
    """The arguments of the kernel, named and laid out as the head of recurrence.cu says; clusters: of one direction."""

    pre: Tensor
    weight: Tensor
    order: Tensor
    lengths: Tensor
    first: Tensor | None
    states: Tensor
    record: Tensor | None
    last: Tensor | None
    clusters: int

    @property
    def sizes(self) -> tuple[int, int, int]:
        """texts, time, directions"""
        texts, time, directions = self.states.shape[:3]
        return int(texts), int(time), int(directions)

    @property
    def texts_of_block(self) -> int:
        """At most."""
        return -(-self.sizes[0] // self.clusters)


Launch = Callable[[Variant, Problem], None]  # fills states, record and last


class Arguments(ctypes.Structure):
    """`struct Problem` of recurrence.cu."""

    _fields_ = [
        *(
            (name, ctypes.c_void_p)
            for name in ("pre", "weight", "order", "lengths", "first", "states", "record", "last")
        ),
        *((name, ctypes.c_int32) for name in ("texts", "time", "directions", "clusters")),
    ]

    @classmethod
    def of_problem(cls, problem: Problem) -> "Arguments":
        pointers = (
            *(problem.pre, problem.weight, problem.order, problem.lengths, problem.first),
            *(problem.states, problem.record, problem.last),
        )
        return cls(*(None if x is None else x.data_ptr() for x in pointers), *problem.sizes, problem.clusters)


def shared_out(
    texts: int, directions: int, variant_of: Callable[[int], Variant], limits: Limits
) -> tuple[Variant, int]:
    """The variant and the number of clusters of each direction: all resident at once where the texts fit.

    variant_of: together -> the variant. One text a cluster is computed by itself, more of them four at a time.
    """
    alone = variant_of(1)
    resident = max(1, limits.processors // alone.cluster // directions)
    if texts <= resident:
        return alone, texts
    variant, clusters = variant_of(4), resident
    while variant.shared_bytes(-(-texts // clusters)) > limits.shared_bytes:
        clusters += 1  # more than are resident: the rest runs when the first are done
    return variant, clusters


def longest_first(lengths: Tensor) -> Tensor:
    """int32 [text], places on the lengths' device."""
    return torch.argsort(lengths, descending=True, stable=True).to(torch.int32)
