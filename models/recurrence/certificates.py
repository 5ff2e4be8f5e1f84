"""The certificate of all texts of a batch at once, in float64, where their activations are.

The same checks as `models.recurrence.certificate`, which are of one text on the host.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .cells import TENSORS, lstm_step, rnn_step
from .certificate import STEPS, chosen_timesteps
from .layer import Direction, Recurrence, padding_mask


def checked_timesteps(texts: Sequence[str], lengths: Sequence[int], layer: int, direction: Direction) -> Tensor:
    """What `chosen_timesteps` gives for each text: int64 [text, STEPS] on the host; a short text's last one repeats."""
    chosen = [chosen_timesteps(text, n, layer, direction).tolist() for text, n in zip(texts, lengths, strict=True)]
    return torch.tensor([steps + steps[-1:] * (STEPS - len(steps)) for steps in chosen], device="cpu")


def recurrence_errors(
    recurrence: Recurrence, x: Tensor, activations: Mapping[str, Tensor], lengths: Tensor, timesteps: Tensor
) -> Tensor:
    """The largest difference of each text, infinite where a value is NaN: float64 [batch].

    Args: x [batch, time, input] and activations name -> [batch, time, unit] of one layer in one direction, padded;
          lengths int64 [batch]; timesteps int64 [batch, step], those to compute again.
    """
    weights = recurrence.weights.to(torch.float64)
    values = {name: activations[name].double() for name in TENSORS[recurrence.cell]}
    rows = torch.arange(x.shape[0], device=x.device)[:, None]
    inside = ~padding_mask(lengths, x.shape[1])

    def previous(name: str) -> Tensor:
        return _previous(values[name], recurrence.direction, inside)

    def at_steps(v: Tensor) -> Tensor:
        return v[rows, timesteps].flatten(0, 1)

    inputs, h = at_steps(x).double(), at_steps(previous("hidden_state"))
    if recurrence.cell == "rnn":
        differences = [rnn_step(inputs, h, weights) - at_steps(values["hidden_state"])]
        return _largest(differences, len(x))
    before = previous("cell_state")
    step = lstm_step(inputs, (h, at_steps(before)), weights)
    differences = [value - at_steps(values[name]) for name, value in zip(step._fields, step, strict=True)]
    c, i, f, g, o = (values[name] for name in step._fields[1:])
    identities = (o * torch.tanh(c) - values["hidden_state"], f * before + i * g - c)
    return _largest([*differences, *(torch.where(inside, v, 0.0) for v in identities)], len(x))


def _previous(states: Tensor, direction: Direction, inside: Tensor) -> Tensor:
    """The state before each step in the direction of reading; zero before the first step."""
    if direction == "forward":
        return torch.nn.functional.pad(states[:, :-1], (0, 0, 1, 0))
    return torch.nn.functional.pad(torch.where(inside, states, 0.0)[:, 1:], (0, 0, 0, 1))


def _largest(differences: Sequence[Tensor], batch: int) -> Tensor:
    """The largest absolute value of each text's share; infinite where one is NaN."""
    largest = torch.stack([d.abs().reshape(batch, -1).amax(1) for d in differences]).amax(0)
    return torch.where(largest.isnan(), math.inf, largest)
