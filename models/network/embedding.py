"""Bags of ids -> x_t.

x_t = [ mean_k E_1[id_k], mean_k E_2[id_k], ... ]: each feature has a table, and a token is the mean of its rows there.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..text.features import Feature, FeatureIds, FeatureKind
from ..text.vocabulary import PADDING


class Embedding(nn.Module):
    """The tables, and x_t from them: [batch, time, input]; input is the sum of the features' dimensions."""

    def __init__(self, features: Sequence[Feature]) -> None:
        super().__init__()
        self.features = tuple(features)
        self.tables = nn.ParameterDict({f.kind: nn.Parameter(torch.zeros(f.rows, f.dimension)) for f in features})
        self.size = sum(f.dimension for f in features)

    def reset(self, scale: float = 0.1) -> None:
        """Random rows; the padding row is zero and stays zero."""
        for table in self.tables.values():
            nn.init.uniform_(table, -scale, scale)
            with torch.no_grad():
                table[PADDING].zero_()

    def forward(self, ids: FeatureIds) -> Tensor:
        return torch.cat([self.mean(f.kind, ids) for f in self.features], dim=-1)

    def mean(self, kind: FeatureKind, bags: FeatureIds) -> Tensor:
        """One feature's part of x_t, mean_k E[id_k] over a bag's ids that are not padding: [batch, time, dimension]."""
        table, ids = self.tables[kind], bags[kind]
        batch, time, bag = ids.shape
        if bag == 1:
            return nn.functional.embedding(ids[:, :, 0], table, padding_idx=PADDING)
        flat = nn.functional.embedding_bag(ids.reshape(-1, bag), table, mode="mean", padding_idx=PADDING)
        return flat.view(batch, time, -1)
