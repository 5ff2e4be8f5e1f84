r"""What if a gate, a unit or a state had been another? The network run again step by step, with that changed.

Within a step the order is: gates, then c_t, then h_t; each is changed before the next is made of it,

    i, f, g, o = change(gates(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh))
    c_t = change(f * c_{t-1} + i * g)          h_t = change(o * tanh(c_t))

so layers above, and the other direction above, see it. Every change is v -> alpha * v + beta: set (0, value), zero
(0, 0), add (1, value), scale (value, 0). Many variants run as the rows of one batch beside row 0, the baseline. A row
joins the batch at the first step that truly differs from the baseline's, with the baseline's state, and leaves it when
it differs no more: what is before is never computed again, and what changes nothing changes no bit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ..errors import ActivationsUnavailable, OptionError, SelectionError
from ..network.network import Classifier, Tagger
from ..recurrence.cells import GATES, TENSORS
from ..recurrence.encoder import Encoder, Pass
from ..recurrence.layer import Direction, Recurrence
from .arrays import Array, host

Operation = Literal["set", "add", "scale", "zero"]
BATCH_TOKENS = 65536  # variants x timesteps that run together: 64 MiB of states at 256 units


@dataclass(frozen=True)
class Intervention:
    """One change. timesteps and units None: all. value: of set, add and scale."""

    target: str
    op: Operation
    value: float = 0.0
    layer: int = 0
    direction: Direction = "forward"
    timesteps: tuple[int, ...] | None = None
    units: tuple[int, ...] | None = None

    @property
    def affine(self) -> tuple[float, float]:
        """(alpha, beta)"""
        return {"set": (0.0, self.value), "zero": (0.0, 0.0), "add": (1.0, self.value), "scale": (self.value, 0.0)}[
            self.op
        ]

    def touches(self, timestep: int) -> bool:
        return self.timesteps is None or timestep in self.timesteps


Variant = tuple[Intervention, ...]  # done in this order where they meet in one value


@dataclass(frozen=True)
class Outcome:
    """float32 logits before temperature. baseline [label] or [time, tag]; logits and delta [variant, ...].

    delta: intervened minus baseline, each from one and the same batch.
    """

    baseline: Array
    logits: Array
    delta: Array


def check(change: Intervention, encoder: Encoder, length: int) -> None:
    """Raises: ActivationsUnavailable, OptionError, SelectionError, naming what was found and what is allowed."""
    if change.target not in TENSORS[encoder.cell]:
        raise ActivationsUnavailable(change.target, TENSORS[encoder.cell])
    if change.op not in get_args(Operation):
        raise OptionError(f"op is {change.op!r}: allowed are {', '.join(get_args(Operation))}")
    if not np.isfinite(change.value):
        raise OptionError(f"value is {change.value}: it has to be a finite number")
    if change.direction not in encoder.directions:
        raise SelectionError(f"direction is {change.direction!r}: allowed are {', '.join(encoder.directions)}")
    _check_indices("layer", (change.layer,), len(encoder.layers))
    _check_indices("timesteps", change.timesteps, length)
    _check_indices("units", change.units, encoder.units)


def sweep(base: Variant, swept: Intervention, over: Literal["units", "timesteps"], count: int) -> list[Variant]:
    """`base`, and on top of it `swept` at each unit or each timestep in turn; count: how many there are."""
    return [(*base, replace(swept, **{over: (index,)})) for index in range(count)]  # type: ignore[arg-type]


@torch.inference_mode()
def intervene(network: Classifier | Tagger, x: Tensor, variants: Sequence[Variant]) -> Outcome:
    """The logits of one text under each variant.

    Args:   x float32 [time, input], what layer 0 reads (`Pass.inputs[0]` without padding).
    Raises: what `check` raises, and OptionError where a value drives a logit out of the range of float32.
    """
    for change in {change for variant in variants for change in variant}:
        check(change, network.encoder, len(x))
    size = max(1, BATCH_TOKENS // len(x))
    batches = [_logits(network, x, variants[n : n + size]) for n in range(0, max(1, len(variants)), size)]
    logits = np.concatenate([batch[1:] for batch in batches])
    if not np.isfinite(logits).all():
        raise OptionError("the intervention drives a logit out of the range of float32: use a smaller value")
    return Outcome(batches[0][0], logits, np.concatenate([batch[1:] - batch[0] for batch in batches]))


def _logits(network: Classifier | Tagger, x: Tensor, variants: Sequence[Variant]) -> Array:
    """[1 + variant, ...], the baseline first."""
    rows, encoder = [(), *variants], network.encoder
    inputs = x[:, None]  # one for all rows, until an intervention parts them
    for layer in range(len(encoder.layers)):
        states = []
        for direction in encoder.directions:
            mine = [tuple(c for c in row if (c.layer, c.direction) == (layer, direction)) for row in rows]
            states.append(_layer(encoder.recurrence(layer, direction), inputs, mine))
        inputs = torch.cat(states, dim=-1)
    top = tuple(h.transpose(0, 1) for h in states)
    run = Pass((), (top,), torch.full((len(rows),), len(x), device=x.device))
    same = (inputs == inputs[:, :1]).all(2).T  # [row, time]: where the head reads what it reads in the baseline
    if isinstance(network, Classifier):
        out, same = network.logits(run), same.all(1)
    else:
        out = network.emissions(run)
    out[same] = out[:1].expand_as(out)[same]  # a product may round its rows differently
    return host(out)


def _layer(recurrence: Recurrence, x: Tensor, rows: Sequence[Variant]) -> Tensor:
    """h_t of every row, one layer in one direction, in text order: [time, row, unit].

    x [time, row, input], or [time, 1, input] where all rows read the same.
    """
    time, w, changes = x.shape[0], recurrence.weights, _Changes(rows, x)
    b, alike = w.bias_ih + w.bias_hh, x.shape[1] == 1
    from_x = x[:, 0] @ w.weight_ih.T + b if alike else None
    reads = torch.zeros(time, len(rows), dtype=torch.bool) if alike else (x != x[:, :1]).any(2).cpu()
    out = x.new_empty(time, len(rows), recurrence.units)
    index, state = [0], x.new_zeros(2, 1, recurrence.units)  # who has joined; their h and c
    for t in range(time) if recurrence.direction == "forward" else range(time - 1, -1, -1):
        there, parted = set(index), set(reads[t].nonzero()[:, 0].tolist())
        joining = sorted((parted | changes.rows_at(t)) - there)
        index = index + joining
        state = torch.cat([state, state[:, :1].expand(-1, len(joining), -1)], dim=1)
        z = (from_x[t] if from_x is not None else x[t, index] @ w.weight_ih.T + b) + state[0] @ w.weight_hh.T
        same = [place for place, row in enumerate(index) if row not in there and row not in parted]
        z[same] = z[0].clone()  # as yet they are the baseline, and a product may round its rows differently
        step = _lstm if recurrence.cell == "lstm" else _rnn
        state = step(z, state, changes.at(t, index))
        out[t], out[t, index] = state[0, 0], state[0]
        keep = (state != state[:, :1]).any(2).any(0)
        keep[0] = True
        if not bool(keep.all()):
            state, index = state[:, keep], [row for row, kept in zip(index, keep.tolist(), strict=True) if kept]
    return out


Change = Callable[[str, Tensor], Tensor]  # a tensor's name and its value [row, unit] -> what stands in its place


def _rnn(z: Tensor, state: Tensor, change: Change) -> Tensor:
    """h_t, standing for h and c both: [2, row, unit]."""
    return change("hidden_state", torch.tanh(z)).expand_as(state)


def _lstm(z: Tensor, state: Tensor, change: Change) -> Tensor:
    """(h_t, c_t): [2, row, unit]."""
    z_i, z_f, z_g, z_o = z.chunk(4, dim=-1)
    opened = (torch.sigmoid(z_i), torch.sigmoid(z_f), torch.tanh(z_g), torch.sigmoid(z_o))
    i, f, g, o = (change(name, value) for name, value in zip(GATES, opened, strict=True))
    c = change("cell_state", f * state[1] + i * g)
    return torch.stack([change("hidden_state", o * torch.tanh(c)), c])


class _Changes:
    """The rows' interventions in one layer and direction as alpha and beta [row, unit] of each target and timestep."""

    def __init__(self, rows: Sequence[Variant], like: Tensor) -> None:
        self.rows, self.like = rows, like
        # Side by side what stands at the same place in its row, so that each is done after those before it.
        self.found: dict[str, list[tuple[Intervention, list[int]]]] = {}
        for place in range(max((len(row) for row in rows), default=0)):
            same: dict[Intervention, list[int]] = {}
            for r, row in enumerate(rows):
                if place < len(row):
                    same.setdefault(row[place], []).append(r)
            for change, where in same.items():
                self.found.setdefault(change.target, []).append((change, where))
        # What was made last: changes mostly stay the same from step to step.
        self.made: dict[str, tuple[tuple[int, ...], Tensor, Tensor]] = {}

    def rows_at(self, t: int) -> set[int]:
        """The rows that change something at timestep t."""
        return {r for found in self.found.values() for c, where in found if c.touches(t) for r in where}

    def at(self, t: int, index: list[int]) -> Change:
        """What changes the rows `index` at timestep t."""
        return lambda target, value: self._changed(target, value, t, index)

    def _changed(self, target: str, value: Tensor, t: int, index: list[int]) -> Tensor:
        found = self.found.get(target, ())
        now = tuple(n for n, (c, _) in enumerate(found) if c.touches(t))
        if not now:
            return value
        if target not in self.made or self.made[target][0] != now:
            self.made[target] = (now, *self._affine([found[n] for n in now], value.shape[1]))
        _, alpha, beta = self.made[target]
        return value * alpha[index] + beta[index]

    def _affine(self, found: Sequence[tuple[Intervention, list[int]]], units: int) -> tuple[Tensor, Tensor]:
        """alpha * v + beta of one change after the other."""
        alpha, beta = np.ones((len(self.rows), units)), np.zeros((len(self.rows), units))
        for change, where in found:
            a, b = change.affine
            at = np.ix_(where, range(units) if change.units is None else change.units)
            alpha[at], beta[at] = alpha[at] * a, beta[at] * a + b
        return torch.from_numpy(alpha).to(self.like), torch.from_numpy(beta).to(self.like)


def _check_indices(what: str, asked: tuple[int, ...] | None, count: int) -> None:
    for index in asked or ():
        if not 0 <= index < count:
            raise SelectionError(f"{what} has {index}, which is not there: allowed are 0 to {count - 1}")
    if asked is not None and len(set(asked)) != len(asked):
        raise SelectionError(f"{what} names an index twice: {list(asked)}")
    if asked is not None and not asked:
        raise SelectionError(f"{what} is empty: leave it out to mean all, or name one or more")
