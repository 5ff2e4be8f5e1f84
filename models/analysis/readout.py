r"""The scalar that an analysis takes apart: one logit of each text, as a linear function of the top layer's states.

Every head here is linear once it is known which timestep each maximum came from, so

    logit_k = sum_t weights[t] . h_t + bias

    last_state   weights[T-1] = w_k (the reverse direction: weights[0])
    mean_max     weights[t] = w_k^mean / T, and w_k^max where unit u has its maximum
    tagger       weights[t] = w_k at the timestep asked; the logit is the emission, before the CRF
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import OptionError, SelectionError
from ..network.network import Classifier, Tagger
from ..recurrence.encoder import Pass
from .arrays import Array, where_it_is


@dataclass(frozen=True)
class Readout:
    """weights[direction] [time, batch, unit], zero in padding; bias and logit [batch], before temperature.

    They are where the pass is.
    """

    weights: tuple[Array, ...]
    bias: Array
    logit: Array


def read_out(
    network: Classifier | Tagger, run: Pass, targets: Sequence[int], timesteps: Sequence[int] | None = None
) -> Readout:
    """The logit of each text's target, taken apart.

    Args:   targets: a label's index for each text of `run` (a tag's); timesteps: one for each text, taggers alone.
    Raises: OptionError where timesteps are missing or make no sense; SelectionError where one is past its text's end.
    """
    lengths = run.lengths.tolist()
    w = network.head.weight.detach()[list(targets)].to(run.top)  # [batch, feature]
    bias = network.head.bias.detach()[list(targets)].to(run.top)
    if isinstance(network, Tagger):
        at = _checked(timesteps, lengths)
        weights = _at(run.top, w, [at] * len(run.hidden_states[-1]))
    elif timesteps is not None:
        raise OptionError("timestep is for NER models, and this is a classifier, which has one output: leave it out")
    elif network.architecture.reads == "mean_max":
        weights = _pooled(run.top, w, run.lengths)
    else:
        ends = [[n - 1 for n in lengths], [0] * len(lengths)]
        weights = _at(run.top, w, ends[: len(run.hidden_states[-1])])
    logit = (weights * run.top).sum((1, 2)) + bias
    parts = weights.transpose(0, 1).chunk(len(run.hidden_states[-1]), dim=-1)
    return Readout(tuple(where_it_is(p) for p in parts), where_it_is(bias), where_it_is(logit))


def _checked(timesteps: Sequence[int] | None, lengths: Sequence[int]) -> list[int]:
    if timesteps is None:
        raise OptionError("timestep is missing: an NER model has an output at every timestep, so name one")
    for t, n in zip(timesteps, lengths, strict=True):
        if not 0 <= t < n:
            raise SelectionError(f"timestep is {t}, but the text has {n} tokens: allowed are 0 to {n - 1}")
    return list(timesteps)


def _at(top: Tensor, w: Tensor, timesteps: Sequence[Sequence[int]]) -> Tensor:
    """w[b] at one timestep of each text, which each direction has its own of: [batch, time, feature]."""
    out, units = torch.zeros_like(top), top.shape[2] // len(timesteps)
    rows = torch.arange(top.shape[0], device=top.device)
    for d, at in enumerate(timesteps):
        unit = slice(d * units, (d + 1) * units)
        out[rows, torch.tensor(at, device=top.device), unit] = w[:, unit]
    return out


def _pooled(top: Tensor, w: Tensor, lengths: Tensor) -> Tensor:
    """The mean gives each timestep 1/T of w^mean; the maximum gives w^max to the (first) timestep that has it."""
    inside = (torch.arange(top.shape[1], device=top.device) < lengths[:, None])[:, :, None]
    w_mean, w_max = (part[:, None] for part in w.chunk(2, dim=1))
    peak = top.masked_fill(~inside, float("-inf")).argmax(1, keepdim=True)
    spread = (w_mean / lengths[:, None, None]) * inside
    return spread.scatter_add(1, peak, w_max)
