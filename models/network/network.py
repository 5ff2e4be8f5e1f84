"""The two networks: embedding, encoder and a head. The head is linear, so a logit is a sum of parts.

The lecture's O_t = g(V S_t): V is ``head.weight``, g the softmax of the classifier or the CRF of the tagger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..recurrence.cells import Cell
from ..recurrence.encoder import Encoder, Pass
from ..recurrence.layer import Direction
from ..text.features import Feature, FeatureIds
from .crf import LinearChain
from .embedding import Embedding

Reads = Literal["last_state", "mean_max"]
Task = Literal["text-classification", "token-classification"]


@dataclass(frozen=True)
class Architecture:
    """Everything that determines a network's shape."""

    task: Task
    cell: Cell
    features: tuple[Feature, ...]
    units: int
    layers: int
    directions: tuple[Direction, ...]
    outputs: int
    reads: Reads = "last_state"


class Network(nn.Module):
    """What classifier and tagger share: embedding, encoder and head."""

    def __init__(self, architecture: Architecture, dropout: Sequence[float] = (0.0, 0.0, 0.0)) -> None:
        """dropout: rates for x_t, between layers, and for the head's input."""
        super().__init__()
        a = self.architecture = architecture
        self.embedding = Embedding(a.features)
        self.encoder = Encoder(a.cell, self.embedding.size, a.units, a.layers, a.directions, dropout[1])
        self.input_dropout, self.head_dropout = nn.Dropout(dropout[0]), nn.Dropout(dropout[2])
        self.head = nn.Linear(self.features_read, a.outputs)

    @property
    def features_read(self) -> int:
        return self.encoder.output_size

    def reset(self) -> None:
        self.embedding.reset()
        self.encoder.reset()
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def run(self, ids: FeatureIds, lengths: Tensor) -> Pass:
        run: Pass = self.encoder(self.input_dropout(self.embedding(ids)), lengths)
        return run


class Classifier(Network):
    """One label for each text, from the last state or from the mean and maximum over all states."""

    @property
    def features_read(self) -> int:
        return self.encoder.output_size * (2 if self.architecture.reads == "mean_max" else 1)

    def read(self, run: Pass) -> Tensor:
        """The head's input: [batch, feature]."""
        if self.architecture.reads == "mean_max":
            return mean_max(run.top, run.lengths)
        return last_state(run)

    def logits(self, run: Pass) -> Tensor:
        """V S_T + b, before temperature and softmax: [batch, label]."""
        out: Tensor = self.head(self.head_dropout(self.read(run)))
        return out

    outputs = logits


class Tagger(Network):
    """One tag for each token, decoded jointly by a linear-chain CRF."""

    def __init__(self, architecture: Architecture, dropout: Sequence[float] = (0.0, 0.0, 0.0)) -> None:
        super().__init__(architecture, dropout)
        self.crf = LinearChain(architecture.outputs)

    def emissions(self, run: Pass) -> Tensor:
        """V S_t + b of every timestep: [batch, time, tag]."""
        out: Tensor = self.head(self.head_dropout(run.top))
        return out

    outputs = emissions


def last_state(run: Pass) -> Tensor:
    """Each direction's state after reading the whole text: forward at the last token, reverse at the first."""
    states = run.hidden_states[-1]
    batch, time = states[0].shape[:2]
    first = torch.arange(0, batch * time, time, device=run.lengths.device)
    ends = (first + run.lengths - 1, first)
    read = [h.flatten(0, 1).index_select(0, end) for h, end in zip(states, ends, strict=False)]
    return torch.cat(read, dim=-1) if len(read) > 1 else read[0]


def mean_max(states: Tensor, lengths: Tensor) -> Tensor:
    """Mean and maximum over each text's own timesteps: [batch, time, feature] -> [batch, 2 * feature]."""
    inside = (torch.arange(states.shape[1], device=states.device) < lengths[:, None])[:, :, None]
    mean = states.masked_fill(~inside, 0.0).sum(1) / lengths[:, None]
    peak = states.masked_fill(~inside, float("-inf")).amax(1)
    return torch.cat([mean, peak], dim=-1)


def build(architecture: Architecture, dropout: Sequence[float] = (0.0, 0.0, 0.0)) -> Classifier | Tagger:
    """The network of an architecture, its weights not yet set."""
    kind = Classifier if architecture.task == "text-classification" else Tagger
    return kind(architecture, dropout)
