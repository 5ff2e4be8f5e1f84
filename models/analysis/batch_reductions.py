"""`models.analysis.reductions` of all texts of a batch at once, where their tensors are."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..recurrence.cells import TANH_TENSORS

BatchReduced = dict[str, dict[str, Tensor]]  # as `reductions.Reduced`, the text as first axis


def reduce_batch(
    shown: Mapping[str, Tensor], counts: Tensor, kinds: Sequence[str], gates: Mapping[str, Tensor]
) -> BatchReduced:
    """Args: shown: name -> [batch, layer, direction, timestep, unit], padded; counts int64 [batch], timesteps of each
    text; gates: as `reductions.reduce` has it.

    Returns: float64, the padding of ``norm`` without meaning.
    """
    steps = next(iter({**shown, **gates}.values())).shape[3]
    inside = (torch.arange(steps, device=counts.device) < counts[:, None])[:, None, None, :, None]

    def mean(values: Tensor) -> Tensor:
        return torch.where(inside, values, 0.0).sum(3, dtype=torch.float64) / counts[:, None, None, None]

    out: BatchReduced = {}
    for name, values in shown.items():
        fields: dict[str, Tensor] = {}
        if "mean" in kinds:
            fields["mean"] = mean(values.double())
        if "saturation" in kinds and name != "cell_state":
            fields["fraction_low"] = mean((values.double() < (-0.9 if name in TANH_TENSORS else 0.1)).double())
            fields["fraction_high"] = mean((values.double() > 0.9).double())
        if "norm" in kinds:
            fields["norm"] = values.double().square().sum(4).sqrt()
        if "half_life" in kinds and name == "forget_gate":
            fields["half_life_tokens"] = math.log(2) / mean(values.double().log()).abs()
        out[name] = fields
    if "phases" in kinds:
        keeps, writes = gates["forget_gate"] >= 0.5, gates["input_gate"] >= 0.5
        kinds_of_step = {
            "hold": keeps & ~writes,
            "accumulate": keeps & writes,
            "overwrite": ~keeps & writes,
            "erase": ~keeps & ~writes,
        }
        out["phases"] = {name: mean(where.double()) for name, where in kinds_of_step.items()}
    return out
