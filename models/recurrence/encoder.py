"""The stack of recurrences: layers x directions, each layer reading the one below.

torch.nn.LSTM returns only the states of its top layer, so the stack is made of one-layer recurrences.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .cells import TENSORS, Cell
from .layer import Direction, LayerActivations, Recurrence, State


@dataclass(frozen=True)
class Pass:
    """One run of the encoder over a padded batch.

    inputs[l] [batch, time, feature]: the input of layer l; hidden_states[l][d] [batch, time, unit]: its states in
    direction d, in reading order; lengths int64 [batch]; initial: each layer's state before the first timestep, of a
    forward-only network, None: zero.
    """

    inputs: Sequence[Tensor]
    hidden_states: tuple[tuple[Tensor, ...], ...]
    lengths: Tensor
    initial: Sequence[State] | None = None

    @property
    def top(self) -> Tensor:
        """The top layer's states, directions side by side: [batch, time, direction * unit]."""
        states = self.hidden_states[-1]
        return torch.cat(states, dim=-1) if len(states) > 1 else states[0]


class Encoder(nn.Module):
    """Layers x directions; dropout between layers in training."""

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        units: int,
        layers: int,
        directions: Sequence[Direction],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.cell, self.units, self.directions = cell, units, tuple(directions)
        self.dropout = nn.Dropout(dropout)
        sizes = [input_size] + [units * len(self.directions)] * (layers - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(Recurrence(cell, size, units, d) for d in self.directions) for size in sizes
        )

    @property
    def output_size(self) -> int:
        return self.units * len(self.directions)

    @property
    def tensors(self) -> tuple[str, ...]:
        return TENSORS[self.cell]

    def recurrence(self, layer: int, direction: Direction) -> Recurrence:
        recurrence = self.layers[layer][self.directions.index(direction)]  # type: ignore[index]
        assert isinstance(recurrence, Recurrence)
        return recurrence

    def reset(self) -> None:
        for layer in range(len(self.layers)):
            for direction in self.directions:
                self.recurrence(layer, direction).reset()

    def forward(self, x: Tensor, lengths: Tensor, initial: Sequence[State] | None = None) -> Pass:
        """x [batch, time, input], lengths int64 [batch], initial by layer -> the `Pass`."""
        inputs: list[Tensor] = []
        states: list[tuple[Tensor, ...]] = []
        for layer in range(len(self.layers)):
            inputs.append(x)
            first = initial[layer] if initial else None
            states.append(tuple(self.recurrence(layer, d).run(x, lengths, first) for d in self.directions))
            x = self.dropout(torch.cat(states[-1], dim=-1))
        return Pass(tuple(inputs), tuple(states), lengths, initial)

    def activations(self, run: Pass) -> list[list[LayerActivations]]:
        """Every state, gate and preactivation of `run`: [layer][direction] -> tensor name -> [batch, time, unit]."""
        return [
            [
                self.recurrence(layer, d).activations(x, h, run.lengths, run.initial[layer] if run.initial else None)
                for d, h in zip(self.directions, states, strict=True)
            ]
            for layer, (x, states) in enumerate(zip(run.inputs, run.hidden_states, strict=True))
        ]
