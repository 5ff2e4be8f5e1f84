"""Which recurrence runs a network. One interface, so that a faster kernel can take torch's place."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .encoder import Pass
from .features import FeatureIds
from .network import Classifier, Tagger
from .recurrence import LayerActivations

Activations = list[list[LayerActivations]]  # [layer][direction] -> tensor name -> [batch, time, unit]


class Runner(Protocol):
    """Ids of a padded batch -> the pass, and with `record` every gate and state of it."""

    @property
    def kernel(self) -> str:
        """The kernel's name, as certificates tell it."""

    def run(self, ids: FeatureIds, lengths: Tensor, record: bool) -> tuple[Pass, Activations | None]: ...


@dataclass(frozen=True)
class TorchRunner:
    """torch's fused kernels, with the gates by replay; on the CPU and on CUDA."""

    network: Classifier | Tagger
    device: torch.device

    def __post_init__(self) -> None:
        if self.device.type == "cuda":  # TF32 keeps 10 bits of a product's factors: what is shown has to be float32's
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False

    @property
    def kernel(self) -> str:
        return "torch-cudnn" if self.device.type == "cuda" else "torch"

    @torch.inference_mode()
    def run(self, ids: FeatureIds, lengths: Tensor, record: bool) -> tuple[Pass, Activations | None]:
        here = {kind: value.to(self.device) for kind, value in ids.items()}
        run = self.network.run(here, lengths.to(self.device))
        return run, self.network.encoder.activations(run) if record else None
