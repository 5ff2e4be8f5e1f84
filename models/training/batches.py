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
    """One training text: its ids and its target, a label's index or one tag's index a token.

    allowed: the tags that each token may have where not every kind of entity was annotated, [time, tag];
    barred: those that it cannot have, as `models.network.constraints` has them; offset: added to the logits in
    training, [label]; taught: P of each label as teachers say, [label].
    """

    ids: TextIds
    target: NDArray[np.int64]
    allowed: NDArray[np.bool_] | None = None
    barred: NDArray[np.bool_] | None = None
    offset: NDArray[np.float32] | None = None
    taught: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.ids["token"])


@dataclass(frozen=True)
class Batch:
    """ids [batch, time, bag] each; lengths [batch]; targets [batch] of labels or [batch, time] of tags.

    allowed and barred: bool [batch, time, tag]; offsets and taught: [batch, label], zeros for a text that has none;
    each None where no text has any.
    """

    ids: FeatureIds
    lengths: Tensor
    targets: Tensor
    allowed: Tensor | None = None
    barred: Tensor | None = None
    offsets: Tensor | None = None
    taught: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        tensors = (self.lengths, self.targets, self.allowed, self.barred, self.offsets, self.taught)
        moved = (None if tensor is None else tensor.to(device) for tensor in tensors)
        return Batch({k: v.to(device) for k, v in self.ids.items()}, *moved)  # type: ignore[arg-type]


def collate(examples: Sequence[Example]) -> Batch:
    lengths = torch.tensor([len(e) for e in examples])
    if examples[0].target.ndim == 0:
        targets = torch.tensor([int(e.target) for e in examples])
    else:
        targets = torch.zeros(len(examples), int(lengths.max()), dtype=torch.int64)
        for row, example in zip(targets, examples, strict=True):
            row[: len(example)] = torch.from_numpy(example.target)
    return Batch(
        batch_ids([e.ids for e in examples]),
        lengths,
        targets,
        _allowed(examples, targets),
        _masks([e.barred for e in examples], lengths),
        _beside([e.offset for e in examples]),
        _beside([e.taught for e in examples]),
    )


def _masks(masks: Sequence[NDArray[np.bool_] | None], lengths: Tensor) -> Tensor | None:
    """Masks [time, tag] side by side, False where there is none; None where no text has one."""
    tags = {mask.shape[1] for mask in masks if mask is not None}
    if not tags:
        return None
    out = torch.zeros(len(masks), int(lengths.max()), tags.pop(), dtype=torch.bool)
    for row, mask in zip(out, masks, strict=True):
        if mask is not None:
            row[: len(mask)] = torch.from_numpy(mask)
    return out


def _beside(values: Sequence[NDArray[np.float32] | None]) -> Tensor | None:
    """A number for each label side by side [batch, label], zeros where there is none; None where no text has any."""
    given = next((value for value in values if value is not None), None)
    if given is None:
        return None
    return torch.from_numpy(np.stack([np.zeros_like(given) if value is None else value for value in values]))


def _allowed(examples: Sequence[Example], targets: Tensor) -> Tensor | None:
    """The allowed tags of a batch in which some texts lack annotation; the others' tags alone."""
    out = _masks([e.allowed for e in examples], torch.tensor([len(e) for e in examples]))
    if out is not None:
        for row, example in enumerate(examples):
            if example.allowed is None:
                out[row].scatter_(1, targets[row, :, None], True)
    return out


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
    """Read a share of the tokens and bigrams as unknown, so that the unknown row is trained."""
    if rate == 0:
        return ids
    out = dict(ids)
    for kind in ("token", "bigram"):
        if kind in out:
            hidden = (torch.rand(out[kind].shape, device=out[kind].device) < rate) & (out[kind] != PADDING)
            out[kind] = out[kind].masked_fill(hidden, UNKNOWN)
    return out
