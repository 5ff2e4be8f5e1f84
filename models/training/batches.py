"""Rows -> padded batches, with texts of like length side by side so that little is padding."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..text.features import FeatureIds, TextIds, batch_ids
from ..text.vocabulary import PADDING, UNKNOWN

_POOL = 64  # batches whose texts are sorted together: wide enough for little padding, narrow enough to stay random


@dataclass(frozen=True)
class Example:
    """One training text: its ids and its target, a label's index or one tag's index a token."""

    ids: TextIds
    target: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids["token"])


@dataclass(frozen=True)
class Batch:
    """ids [batch, time, bag] each; lengths [batch]; targets [batch] of labels or [batch, time] of tags."""

    ids: FeatureIds
    lengths: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> "Batch":
        return Batch({k: v.to(device) for k, v in self.ids.items()}, self.lengths.to(device), self.targets.to(device))


def collate(examples: Sequence[Example]) -> Batch:
    lengths = torch.tensor([len(e) for e in examples])
    if examples[0].target.ndim == 0:
        targets = torch.tensor([int(e.target) for e in examples])
    else:
        targets = torch.zeros(len(examples), int(lengths.max()), dtype=torch.int64)
        for row, example in zip(targets, examples, strict=True):
            row[: len(example)] = torch.from_numpy(example.target)
    return Batch(batch_ids([e.ids for e in examples]), lengths, targets)


def shuffled(examples: Sequence[Example], batch_size: int, random: np.random.Generator) -> Iterator[Batch]:
    """One epoch in random order, sorted by length within pools of `_POOL` batches."""
    order = random.permutation(len(examples))
    batches = []
    for start in range(0, len(order), batch_size * _POOL):
        pool = sorted(order[start : start + batch_size * _POOL], key=lambda i: len(examples[i]))
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    for b in random.permutation(len(batches)):
        yield collate([examples[i] for i in batches[b]])


def in_order(examples: Sequence[Example], batch_size: int) -> Iterator[tuple[NDArray[np.int64], Batch]]:
    """Every example once, sorted by length, with its place in `examples`."""
    order = np.argsort([len(e) for e in examples], kind="stable")
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        yield rows, collate([examples[i] for i in rows])


def hide_ids(ids: FeatureIds, rate: float) -> FeatureIds:
    """Read a share of the tokens and bigrams as unknown, so that the unknown row learns what to say."""
    if rate == 0:
        return ids
    out = dict(ids)
    for kind in ("token", "bigram"):
        if kind in out:
            hidden = (torch.rand(out[kind].shape, device=out[kind].device) < rate) & (out[kind] != PADDING)
            out[kind] = out[kind].masked_fill(hidden, UNKNOWN)
    return out
