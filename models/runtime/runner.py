"""Which recurrence runs a network: torch's kernels, or the fused one of `models.runtime.cpu.fused`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..network.network import Classifier, Tagger
from ..recurrence.certificate import Values, recurrence_error
from ..recurrence.encoder import Pass
from ..recurrence.layer import Direction, LayerActivations
from ..text.features import FeatureIds, TextIds, batch_ids
from .cpu.kernel import Precision

Recording = Literal["nothing", "gates", "everything"]  # everything: the preactivations as well
Activations = list[list[LayerActivations]]  # [layer][direction] -> tensor name -> [batch, time, unit]


class Runner(Protocol):
    """Ids of a padded batch -> the pass and, unless nothing is recorded, every gate and state of it."""

    @property
    def network(self) -> Classifier | Tagger: ...

    @property
    def kernel(self) -> str:
        """The kernel's name, as certificates tell it."""

    @property
    def precision(self) -> Precision:
        """Of the recurrences' weights."""

    def run(self, ids: FeatureIds, lengths: Tensor, recording: Recording) -> tuple[Pass, Activations | None]: ...

    def run_inputs(self, x: Tensor, lengths: Tensor, recording: Recording) -> tuple[Pass, Activations | None]:
        """As `run`, from x_t itself: [batch, time, input]."""

    def outputs(self, run: Pass) -> Tensor:
        """What the head says of a pass: logits [batch, label], or emissions [batch, time, tag]."""

    def embedded(self, ids: TextIds) -> Values:
        """x_t of some tokens: [token, input]."""

    def recurrence_error(
        self, layer: int, direction: Direction, x: Values, shown: Mapping[str, Values], timesteps: NDArray[np.int64]
    ) -> float:
        """As `models.recurrence.certificate.recurrence_error`, of this network's recurrence."""


@dataclass(frozen=True)
class TorchRunner:
    """torch's fused kernels, with the gates by replay; on the CPU and on CUDA."""

    network: Classifier | Tagger
    device: torch.device
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        if self.device.type == "cuda":  # TF32 keeps 10 bits of a product's factors: what is shown has to be float32's
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False

    @property
    def kernel(self) -> str:
        return "torch-cudnn" if self.device.type == "cuda" else "torch"

    @torch.inference_mode()
    def run(self, ids: FeatureIds, lengths: Tensor, recording: Recording) -> tuple[Pass, Activations | None]:
        here = {kind: value.to(self.device) for kind, value in ids.items()}
        return self.run_inputs(self.network.embedding(here), lengths, recording)

    @torch.inference_mode()
    def run_inputs(self, x: Tensor, lengths: Tensor, recording: Recording) -> tuple[Pass, Activations | None]:
        run: Pass = self.network.encoder(x.to(self.device), lengths.to(self.device))
        return run, self.network.encoder.activations(run) if recording != "nothing" else None

    def outputs(self, run: Pass) -> Tensor:
        out: Tensor = self.network.outputs(run)
        return out

    def embedded(self, ids: TextIds) -> Values:
        here = {kind: value.to(self.device) for kind, value in batch_ids([ids]).items()}
        rows: Values = self.network.embedding(here)[0].cpu().numpy()
        return rows

    def recurrence_error(
        self, layer: int, direction: Direction, x: Values, shown: Mapping[str, Values], timesteps: NDArray[np.int64]
    ) -> float:
        its = self.network.encoder.recurrence(layer, direction)
        return recurrence_error(its.cell, its.weights.to(torch.float64), x, shown, direction, timesteps)
