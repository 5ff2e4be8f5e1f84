"""The recall task: name a symbol after a gap, the smallest task that needs only memory.

The text is one of `SYMBOLS` symbols, then `gap` random noise symbols; after the last one the network names the first
symbol. Noise and symbols do not overlap, so the difficulty is to keep the symbol, not to recognise it. RNN and LSTM
have as many units, the same recipe and the same seed; only the cell differs (Hochreiter & Schmidhuber 1997, section 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.recurrence.cells import Cell
from models.recurrence.layer import Recurrence

SYMBOLS, NOISE = 8, 8


@dataclass(frozen=True)
class Recipe:
    """How one network is trained: on gaps from 1 to `longest` or, if it `grows`, to a limit that grows up to it."""

    units: int = 32
    batch_size: int = 64
    steps: int = 1200
    longest: int = 200
    grows: bool = False
    learning_rate: float = 3e-3
    tested: int = 512


class Recaller(nn.Module):
    """Embedding, one recurrence, and a head on the last state: the architecture of the pairs in its simplest form."""

    def __init__(self, cell: Cell, units: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(SYMBOLS + NOISE, units)
        self.recurrence = Recurrence(cell, units, units, "forward")
        self.recurrence.reset()
        self.head = nn.Linear(units, SYMBOLS)

    def forward(self, ids: Tensor) -> Tensor:
        """ids [batch, time] -> logits [batch, symbol]."""
        lengths = torch.full((len(ids),), ids.shape[1])
        out: Tensor = self.head(self.recurrence.run(self.embedding(ids), lengths)[:, -1])
        return out


def draw(count: int, gap: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Texts [count, 1 + gap] and the symbol of each [count]."""
    symbol = torch.randint(SYMBOLS, (count, 1), generator=random)
    noise = SYMBOLS + torch.randint(NOISE, (count, gap), generator=random)
    return torch.cat([symbol, noise], dim=1), symbol[:, 0]


def recall(cell: Cell, gaps: Sequence[int], recipe: Recipe, seed: int) -> list[float]:
    """For each gap the share of new texts whose symbol is named; 1 / SYMBOLS is chance."""
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Recaller(cell, recipe.units)
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    for step in range(recipe.steps):
        limit = max(2, recipe.longest * (step + 1) // recipe.steps) if recipe.grows else recipe.longest
        ids, symbol = draw(recipe.batch_size, int(torch.randint(1, limit + 1, (1,), generator=random)), random)
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(ids), symbol).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    with torch.no_grad():
        tests = [draw(recipe.tested, gap, random) for gap in gaps]
        return [float((network(ids).argmax(1) == symbol).float().mean()) for ids, symbol in tests]
