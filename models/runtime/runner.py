"""Which recurrence runs a network: torch's kernels, or the fused one of `models.runtime.cpu.fused`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..network.network import Classifier, Tagger
from ..recurrence.certificate import Values, recurrence_error
from ..recurrence.encoder import Pass
from ..recurrence.layer import Direction, LayerActivations, State
from ..text.features import FeatureIds, TextIds, batch_ids
from .cpu.kernel import Precision

Recording = Literal["nothing", "gates", "everything"]  # gates: states too; everything: preactivations too
Activations = list[list[LayerActivations]]  # [layer][direction] -> tensor name -> [batch, time, unit]


class Runner(Protocol):
    """Runs a network: ids of a padded batch -> the pass and, when recorded, its gates and states."""

    @property
    def network(self) -> Classifier | Tagger: ...

    @property
    def kernel(self) -> str:
        """The kernel's name, as written in certificates."""

    @property
    def precision(self) -> Precision:
        """The precision of the recurrences' weights."""

    def run(
        self, ids: FeatureIds, lengths: Tensor, recording: Recording, initial: Sequence[State] | None = None
    ) -> tuple[Pass, Activations | None]:
        """initial: each layer's state before the first timestep, of a forward-only network; None: zero."""

    def run_inputs(self, x: Tensor, lengths: Tensor, recording: Recording) -> tuple[Pass, Activations | None]:
        """As `run`, from x_t itself: [batch, time, input]."""

    def outputs(self, run: Pass) -> Tensor:
        """The head's output: logits [batch, label], or emissions [batch, time, tag]."""

    def head(self, read: Tensor) -> Tensor:
        """The head's output for its inputs, one a row: [row, feature] -> [row, label or tag]."""

    def embedded(self, ids: TextIds) -> Values:
        """x_t of these tokens: [token, input]."""

    def recurrence_error(
        self,
        layer: int,
        direction: Direction,
        x: Values,
        activations: Mapping[str, Values],
        timesteps: NDArray[np.int64],
    ) -> float:
        """`models.recurrence.certificate.recurrence_error` of one recurrence of this network."""


@dataclass(frozen=True)
class TorchRunner:
    """torch's kernels on the CPU or CUDA; the gates are recomputed from the states (`models.recurrence.layer`)."""

    network: Classifier | Tagger
    device: torch.device
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        # TF32 keeps 10 bits of a product's factors; reported activations must be float32.
        if self.device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False

    @property
    def kernel(self) -> str:
        return "torch-cudnn" if self.device.type == "cuda" else "torch"

    @torch.inference_mode()
    def run(
        self, ids: FeatureIds, lengths: Tensor, recording: Recording, initial: Sequence[State] | None = None
    ) -> tuple[Pass, Activations | None]:
        ids_on_device = {kind: value.to(self.device) for kind, value in ids.items()}
        return self._run(self.network.embedding(ids_on_device), lengths, recording, initial)

    @torch.inference_mode()
    def run_inputs(self, x: Tensor, lengths: Tensor, recording: Recording) -> tuple[Pass, Activations | None]:
        return self._run(x.to(self.device), lengths, recording, None)

    def _run(
        self, x: Tensor, lengths: Tensor, recording: Recording, initial: Sequence[State] | None
    ) -> tuple[Pass, Activations | None]:
        if initial is not None:
            initial = [(h.to(self.device), None if c is None else c.to(self.device)) for h, c in initial]
        run: Pass = self.network.encoder(x, lengths.to(self.device), initial)
        return run, self.network.encoder.activations(run) if recording != "nothing" else None

    def outputs(self, run: Pass) -> Tensor:
        out: Tensor = self.network.outputs(run)
        return out

    @torch.inference_mode()
    def head(self, read: Tensor) -> Tensor:
        out: Tensor = self.network.head(read.to(self.device))
        return out

    def embedded(self, ids: TextIds) -> Values:
        ids_on_device = {kind: value.to(self.device) for kind, value in batch_ids([ids]).items()}
        x: Values = self.network.embedding(ids_on_device)[0].cpu().numpy()
        return x

    def recurrence_error(
        self,
        layer: int,
        direction: Direction,
        x: Values,
        activations: Mapping[str, Values],
        timesteps: NDArray[np.int64],
    ) -> float:
        recurrence = self.network.encoder.recurrence(layer, direction)
        weights = recurrence.weights.to(torch.float64)
        return recurrence_error(recurrence.cell, weights, x, activations, direction, timesteps)
