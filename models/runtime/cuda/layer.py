"""One layer of a network with its weights as recurrence.cu takes them, every direction in one launch."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...recurrence.cells import GATES
from ...recurrence.layer import LayerActivations, Recurrence, State
from .compiling import Variant, padded
from .problem import Launch, Limits, Problem, longest_first, shared_out

_RECORDED = {
    4: (*GATES, "cell_state", *(f"{name}_preactivation" for name in GATES)),
    1: ("hidden_state_preactivation",),
}


class CudaLayer:
    """The directions of one layer."""

    def __init__(self, directions: Sequence[Recurrence], cluster: int) -> None:
        """cluster: blocks that share W_hh, see `compiling.cluster_of`."""
        self.gates, self.units, self.cluster = 4 if directions[0].cell == "lstm" else 1, directions[0].units, cluster
        self.width, self.directions = padded(self.units), len(directions)
        weights = [recurrence.weights for recurrence in directions]
        self.weight_hh = torch.stack([self._packed(w.weight_hh, self.width) for w in weights])
        self.weight_ih = torch.cat([self._packed(w.weight_ih).flatten(0, 1) for w in weights])
        self.bias = torch.cat([self._packed((w.bias_ih + w.bias_hh)[:, None]).flatten() for w in weights])

    def _packed(self, weight: Tensor, columns: int | None = None) -> Tensor:
        """weight [gate * unit, column] -> [unit, gate, column], units and columns filled up with zeros."""
        rows = weight.detach().float().reshape(self.gates, self.units, -1).transpose(0, 1)
        more_columns = (columns or rows.shape[2]) - rows.shape[2]
        return torch.nn.functional.pad(rows, (0, more_columns, 0, 0, 0, self.width - self.units)).contiguous()

    def variant(self, record: int) -> Callable[[int], Variant]:
        """together -> the variant that records so much."""
        return lambda together: Variant(self.width, self.gates, record, together, self.cluster)  # type: ignore[arg-type]

    def run(
        self, x: Tensor, lengths: Tensor, record: int, limits: Limits, launch: Launch, initial: State | None = None
    ) -> tuple[Tensor, list[LayerActivations], Tensor]:
        """The states [batch, time, direction, unit], what was recorded of each direction, and the last cell states.

        Args: x [batch, time, input]; record: 0 nothing, 1 gates and cell states, 2 preactivations too; initial: of a
              layer with one direction. Last cell states: [direction, batch, unit], without meaning for an RNN.
        """
        batch, time, _ = x.shape
        variant, clusters = shared_out(batch, self.directions, self.variant(record), limits)
        pre = torch.addmm(self.bias, x.reshape(batch * time, -1), self.weight_ih.T)
        # Zeros, so that the padding of a ragged batch holds numbers.
        states = x.new_zeros(batch, time, self.directions, self.width)
        recorded = x.new_zeros(variant.tensors, self.directions, batch, time, self.width)
        last = x.new_zeros(self.directions, batch, self.width)
        problem = Problem(
            pre,
            self.weight_hh,
            longest_first(lengths),
            lengths.to(torch.int32),
            None if initial is None else self._first(initial),
            states,
            recorded if variant.tensors else None,
            last,
            clusters,
        )
        launch(variant, problem)
        own = states[..., : self.units]
        activations: list[LayerActivations] = []
        for d in range(self.directions):
            tensors = zip(_RECORDED[self.gates], recorded[:, d, ..., : self.units], strict=False)
            activations.append({"hidden_state": own[:, :, d], **dict(tensors)})
        return own, activations, last[..., : self.units]

    def _first(self, initial: State) -> Tensor:
        """[h and c, direction, batch, unit]"""
        states = [x for x in initial if x is not None]
        return torch.stack([torch.nn.functional.pad(x.float(), (0, self.width - self.units))[None] for x in states])
