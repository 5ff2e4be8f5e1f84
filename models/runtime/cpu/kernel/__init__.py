r"""The fused recurrence of `kernel.cpp`, found and called.

A `Kernel` is one target of the library that `setup.py` built: the same source for AVX-512, AVX2 and any other machine.
It computes in *packed* rows: for an LSTM the gates i, f, g, o of `width` units side by side, for anything else `width`
units after another, filled up with zeros to whole column blocks of four vectors.
"""

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, c_int32, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import structures
from .structures import Bag, Check, Pool, Projection, Recurrence, Target

Precision = Literal["float32", "bfloat16"]  # of packed weights
CHECKED_STEPS = 8  # that one call of `Kernel.check` computes again, at most
LIBRARY = Path(__file__).parent / "recurrence.so"


class KernelUnavailable(Exception):
    """The target asked for cannot run here; the message says which can."""


def available(library: Path | None = None) -> "list[Kernel]":
    """The targets that were built and that this machine can run, the best first; none where there was no compiler."""
    library = library or LIBRARY
    if not library.exists():
        return []
    found = ctypes.CDLL(str(library))
    found.target_at.restype, found.target_at.argtypes = POINTER(Target), [c_int32]
    targets = [found.target_at(n).contents for n in range(found.target_count())]
    return [Kernel(target) for target in targets if target.runs_here()]


def choose(name: str, library: Path | None = None) -> "Kernel | None":
    """The kernel of that name; ``auto``: the best, or None where there is none; ``torch``: None.

    Raises: KernelUnavailable.
    """
    if name == "torch":
        return None
    there = {kernel.name: kernel for kernel in available(library)}
    if name == "auto":
        return next(iter(there.values()), None)
    if name not in there:
        raise KernelUnavailable(f"the kernel {name} cannot run here: allowed are auto, {', '.join(there)} and torch")
    return there[name]


@dataclass(frozen=True)
class LookUp:
    """A part of preactivations that is looked up: bias + sum of tables[n][ids[n][row]] for row batch * time.

    tables packed [id, packed]; ids int64 [batch * time]; bias packed.
    """

    tables: Sequence[Tensor]
    ids: Sequence[Tensor]
    bias: Tensor

    def structure(self) -> structures.LookUp:
        many = c_void_p * len(self.tables)
        table, ids = many(*map(_at, self.tables)), many(*map(_at, self.ids))
        its = structures.LookUp(len(self.tables), _at(self.bias), ctypes.addressof(table), ctypes.addressof(ids))
        its.arrays = table, ids  # they live as long as what points to them
        return its


class Kernel:
    """One target's functions over torch's tensors: float32, on the CPU, the last axis contiguous."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.name, self.width = target.name.decode(), int(target.width)

    def blocks(self, gates: int, units: int) -> int:
        """Column blocks of a row of `gates` times `units` numbers."""
        across = self.width if gates == 4 else 4 * self.width
        return -(-units // across)

    def packed(self, gates: int, units: int) -> int:
        """Floats in a packed row."""
        return self.blocks(gates, units) * 4 * self.width

    def pack(self, weight: Tensor, gates: int, precision: Precision = "float32") -> Tensor:
        """weight [gates * unit, depth] -> [block, depth, 4, width]; gates 4 (LSTM) or 1 (an RNN, a head).

        In bfloat16: int32 [block, pair, 4, width], two weights in each.
        """
        units, depth = weight.shape[0] // gates, weight.shape[1]
        blocks = self.blocks(gates, units)
        across = self.packed(gates, units) // gates
        full = weight.new_zeros(gates, across, depth, dtype=torch.float32)
        full[:, :units] = weight.view(gates, units, depth)
        if precision == "bfloat16":
            full, depth = _paired(full), -(-depth // 2)
        if gates == 4:
            return full.view(4, blocks, self.width, depth).permute(1, 3, 0, 2).contiguous()
        return full.view(blocks, 4, self.width, depth).permute(0, 3, 1, 2).contiguous()

    def pack_row(self, bias: Tensor, gates: int) -> Tensor:
        """bias [gates * unit] -> one packed row."""
        return self.pack(bias[:, None], gates).reshape(-1)

    def project(self, x: Tensor, weights: Tensor, bias: Tensor | None, out: Tensor, rows: Tensor | None = None) -> None:
        """out[row] = (bias or out[row]) + W x[row].

        x [row, depth]; weights and bias packed; out [row, packed]; rows int64, which ones; None: all.
        """
        count = x.shape[0] if rows is None else rows.shape[0]
        its = Projection(
            depth=x.shape[1], blocks=weights.shape[0], bfloat16=_is_paired(weights), count=count, rows=_at(rows),
            input=_at(x), input_stride=x.stride(0), weights=_at(weights), bias=_at(bias), out=_at(out),
            out_stride=out.stride(0),
        )  # fmt: skip
        self._target.project(its)

    def bag(self, table: Tensor, ids: Tensor, out: Tensor) -> None:
        """out[n] = mean of table[id] over the ids of bag n that are not 0; zero where all are.

        table [id, width]; ids int64 [bag, size]; out [bag, width], a view whose rows may lie apart.
        """
        its = Bag(ids.shape[1], table.shape[1], ids.shape[0], _at(ids), _at(table), _at(out), out.stride(0))
        self._target.bag(its)

    def recur(
        self,
        gates: int,
        reverse: bool,
        lengths: Tensor,
        order: Tensor,
        weights: Tensor,
        preactivations: Tensor | None,
        out: Tensor,
        record: Tensor | None = None,
        state: tuple[Tensor, Tensor | None] | None = None,
        last_cell_state: Tensor | None = None,
        look_up: LookUp | None = None,
    ) -> None:
        """One layer in one direction over a padded batch.

        Args: lengths int64 [batch]; order int64 [batch], longest first; weights packed W_hh; preactivations [batch *
              time, packed], W_ih x_t + b, to which `look_up` is added; at least one of the two; out [batch, time,
              unit], a view whose rows may lie apart; record [tensor, batch, time, unit]: i, f, g, o, c and perhaps z_i,
              z_f, z_g, z_o (an RNN: z); state (h, c), each [batch, unit], to start from; last_cell_state [batch, unit]
              is written to.
        """
        batch, time, units = out.shape
        h, c = state or (None, None)
        recorded, stride = (0, 0) if record is None else (record.shape[0], record.stride(0))
        its = Recurrence(
            gates=gates, units=units, texts=batch, time=time, bfloat16=_is_paired(weights), reverse=int(reverse),
            recorded=recorded, lengths=_at(lengths), order=_at(order), weights=_at(weights),
            preactivations=_at(preactivations), look_up=look_up and ctypes.pointer(look_up.structure()), out=_at(out),
            out_stride=out.stride(1), record=_at(record), record_stride=stride, hidden_state=_at(h), cell_state=_at(c),
            last_cell_state=_at(last_cell_state),
        )  # fmt: skip
        self._target.recur(its)

    def check(
        self,
        gates: int,
        reverse: bool,
        weights: tuple[Tensor, Tensor, Tensor, Tensor],
        x: NDArray[np.floating],
        shown: Sequence[NDArray[np.floating]],
        timesteps: NDArray[np.int64],
    ) -> float:
        """The largest difference in float64 between what is shown of one text and what the weights do; see check.hpp.

        Args: weights as in the file: W_ih, W_hh, b_ih, b_hh; x [step, input], of the timesteps; shown: h and, of an
              LSTM, c, i, f, g, o, each [time, unit]; timesteps: those that are computed again, at most `CHECKED_STEPS`.
        """
        if len(timesteps) > CHECKED_STEPS:
            raise ValueError(f"{len(timesteps)} timesteps to check at once: at most {CHECKED_STEPS}")
        inputs, *told = (np.ascontiguousarray(values, np.float32) for values in (x, *shown))
        its = Check(
            gates=gates, units=weights[1].shape[1], depth=inputs.shape[1], reverse=int(reverse), steps=len(timesteps),
            time=len(told[0]), timesteps=_start(timesteps), input=_start(inputs), weight_ih=_at(weights[0]),
            weight_hh=_at(weights[1]), bias_ih=_at(weights[2]), bias_hh=_at(weights[3]),
            shown=(c_void_p * 6)(*map(_start, told)),
        )  # fmt: skip
        self._target.check(its)
        return float(its.largest)

    def pool(self, states: Tensor, lengths: Tensor, out: Tensor) -> None:
        """Mean and maximum over each text's own timesteps: states [batch, time, unit] -> out [batch, 2 * unit]."""
        batch, time, width = states.shape
        self._target.pool(Pool(batch, time, width, _at(lengths), _at(states), _at(out)))


def _paired(weight: Tensor) -> Tensor:
    """float32 [..., depth] -> int32 [..., n]: weight k in the low half of pair k, weight n + k in its high one."""
    pairs = -(-weight.shape[-1] // 2)
    even = torch.nn.functional.pad(weight, (0, 2 * pairs - weight.shape[-1]))
    halves = even.bfloat16().view(torch.int16).to(torch.int32)
    return (halves[..., :pairs] & 0xFFFF) | (halves[..., pairs:] << 16)


def _is_paired(weights: Tensor) -> int:
    return int(weights.dtype == torch.int32)


def _at(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def _start(x: NDArray[Any]) -> int:
    """As `_at`; several times as fast as x.ctypes.data."""
    return int(x.__array_interface__["data"][0])
