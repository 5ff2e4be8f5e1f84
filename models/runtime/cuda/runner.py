"""A network on a card by `recurrence.cu`: a `Runner` beside `TorchRunner`, which has all that is no recurrence."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...network.network import Classifier, Tagger
from ...recurrence.certificate import Values
from ...recurrence.encoder import Pass
from ...recurrence.layer import Direction, State
from ...text.features import FeatureIds, TextIds
from ..cpu.kernel import KernelUnavailable, Precision
from ..runner import Activations, Recording, TorchRunner
from .compiling import CannotCompile, architecture, cluster_of
from .launching import Launcher, limits_of
from .layer import CudaLayer
from .problem import Launch, Limits

log = logging.getLogger(__name__)
_RECORD: dict[Recording, int] = {"nothing": 0, "gates": 1, "everything": 2}
_ALIKE = 1e-4  # what a card's answer may differ from cuDNN's when the kernel is tried at start


class CudaRunner:
    """Runs batches of one network. A text's recurrence is bitwise independent of its batch."""

    precision: Precision = "float32"

    def __init__(self, torch_runner: TorchRunner, limits: Limits, launch: Launch) -> None:
        """Raises: KernelUnavailable: for more units than fit, and on a card before sm_80."""
        encoder = torch_runner.network.encoder
        cluster = cluster_of(encoder.units, limits.capability)
        if cluster is None:
            raise KernelUnavailable(
                f"recurrence.cu runs on sm_80 or later with at most 256 units, and here are {encoder.units} "
                f"on {architecture(limits.capability)}"
            )
        self.torch_runner, self.limits, self.launch = torch_runner, limits, launch
        self.layers = [
            CudaLayer([encoder.recurrence(n, d) for d in encoder.directions], cluster)
            for n in range(len(encoder.layers))
        ]

    @property
    def network(self) -> Classifier | Tagger:
        return self.torch_runner.network

    @property
    def kernel(self) -> str:
        return "cuda"

    @torch.inference_mode()
    def run(
        self, ids: FeatureIds, lengths: Tensor, recording: Recording, initial: Sequence[State] | None = None
    ) -> tuple[Pass, Activations | None]:
        device = self.torch_runner.device
        x = self.network.embedding({kind: value.to(device) for kind, value in ids.items()})
        return self._run(x, lengths, recording, initial)

    @torch.inference_mode()
    def run_inputs(self, x: Tensor, lengths: Tensor, recording: Recording) -> tuple[Pass, Activations | None]:
        return self._run(x.to(self.torch_runner.device), lengths, recording, None)

    def _run(
        self, x: Tensor, lengths: Tensor, recording: Recording, initial: Sequence[State] | None
    ) -> tuple[Pass, Activations | None]:
        device = self.torch_runner.device
        lengths = lengths.to(device)
        if initial is not None:
            initial = [(h.to(device), None if c is None else c.to(device)) for h, c in initial]
        inputs: list[Tensor] = []
        states: list[tuple[Tensor, ...]] = []
        activations: Activations = []
        for n, layer in enumerate(self.layers):
            inputs.append(x)
            first = initial[n] if initial else None
            out, recorded, _ = layer.run(x, lengths, _RECORD[recording], self.limits, self.launch, first)
            states.append(out.unbind(2))
            activations.append(recorded)
            x = out.flatten(2)
        run = Pass(tuple(inputs), tuple(states), lengths, initial)
        return run, None if recording == "nothing" else activations

    def outputs(self, run: Pass) -> Tensor:
        return self.torch_runner.outputs(run)

    def head(self, read: Tensor) -> Tensor:
        return self.torch_runner.head(read)

    def embedded(self, ids: TextIds) -> Values:
        return self.torch_runner.embedded(ids)

    def recurrence_error(
        self,
        layer: int,
        direction: Direction,
        x: Values,
        activations: Mapping[str, Values],
        timesteps: NDArray[np.int64],
    ) -> float:
        return self.torch_runner.recurrence_error(layer, direction, x, activations, timesteps)


def runner_on_card(network: Classifier | Tagger, device: torch.device) -> CudaRunner | TorchRunner:
    """Our kernel where it can be compiled and agrees with cuDNN; else cuDNN, and the log says why."""
    replay = TorchRunner(network, device)
    try:
        limits = limits_of(device)
        runner = CudaRunner(replay, limits, Launcher(device, limits))
        difference = _difference(runner, replay)
    except (CannotCompile, KernelUnavailable) as error:
        log.warning("the recurrences run on cuDNN, and gates are computed again from its states: %s", error)
        return replay
    if not difference < _ALIKE:
        log.error(
            "recurrence.cu differs from cuDNN by %.1e on this card, so cuDNN runs instead: please report", difference
        )
        return replay
    return runner


@torch.inference_mode()
def _difference(runner: CudaRunner, replay: TorchRunner) -> float:
    """The largest difference of the two from each other, on a small ragged batch with everything recorded."""
    lengths = torch.tensor([7, 1, 5, 7, 2], device="cpu")
    x = torch.randn(5, 7, runner.network.embedding.size, generator=torch.Generator().manual_seed(0), device="cpu")
    (_, ours), (_, theirs) = (each.run_inputs(x, lengths, "everything") for each in (runner, replay))
    assert ours is not None
    assert theirs is not None
    inside = (torch.arange(7, device=replay.device) < lengths.to(replay.device)[:, None])[:, :, None]
    return max(
        float(torch.where(inside, a[name] - b[name], 0).abs().max())
        for own_layer, their_layer in zip(ours, theirs, strict=True)
        for a, b in zip(own_layer, their_layer, strict=True)
        for name in b
    )
