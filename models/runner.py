"""Which recurrence runs a network: torch's kernels, or the fused one of `models.fused`."""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from .cells import Preactivates
from .encoder import Pass
from .features import FeatureIds
from .kernel import Precision
from .network import Classifier, Tagger
from .recurrence import Direction, LayerActivations

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

    def outputs(self, run: Pass) -> Tensor:
        """What the head says of a pass: logits [batch, label], or emissions [batch, time, tag]."""

    def exact(self, layer: int, direction: Direction) -> Preactivates:
        """A recurrence's weights in float64, for its certificate; computed apart from what they certify."""


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
        run = self.network.run(here, lengths.to(self.device))
        return run, self.network.encoder.activations(run) if recording != "nothing" else None

    def outputs(self, run: Pass) -> Tensor:
        out: Tensor = self.network.outputs(run)
        return out

    def exact(self, layer: int, direction: Direction) -> Preactivates:
        return self.network.encoder.recurrence(layer, direction).weights.to(torch.float64)
