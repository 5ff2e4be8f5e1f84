r"""Finds and calls the fused recurrence of `kernel.cpp`.

A `Kernel` is one target of the library that `setup.py` built: the same source for AVX-512, AVX2 and any other machine.
It computes in *packed* rows: for an LSTM the gates i, f, g, o of `width` units side by side, otherwise plain runs of
`width` units; both are padded with zeros to whole column blocks of four vectors.
"""

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, c_int32, c_void_p
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ....recurrence.cells import CellWeights
from . import structures
from .structures import Bag, Check, Pool, Projection, Recurrence, Target

Precision = Literal["float32", "bfloat16"]  # of packed weights
CHECKED_STEPS = 8  # timesteps that one call of `Kernel.check` can compute again
LIBRARY = Path(__file__).parent / "recurrence.so"


class KernelUnavailable(Exception):
    """The requested target cannot run on this machine; the message names those that can."""


def available(library: Path | None = None) -> "list[Kernel]":
    """The built targets that this machine can run, the best first; empty where no compiler built any."""
    library = library or LIBRARY
    if not library.exists():
        return []
    loaded = ctypes.CDLL(str(library))
    loaded.target_at.restype, loaded.target_at.argtypes = POINTER(Target), [c_int32]
    targets = [loaded.target_at(n).contents for n in range(loaded.target_count())]
    return [Kernel(target) for target in targets if target.runs_here()]


def choose(name: str, library: Path | None = None) -> "Kernel | None":
    """The kernel of that name; ``auto``: the best, or None where there is none; ``torch``: None.

    Raises: KernelUnavailable.
    """
    if name == "torch":
        return None
    by_name = {kernel.name: kernel for kernel in available(library)}
    if name == "auto":
        return next(iter(by_name.values()), None)
    if name not in by_name:
        raise KernelUnavailable(f"the kernel {name} cannot run here: allowed are auto, {', '.join(by_name)} and torch")
    return by_name[name]


class LookUp(NamedTuple):
    """The part of the preactivations that is looked up: bias + sum over n of tables[n][ids[n][row]].

    tables packed [id, packed]; ids int64 [batch * time]; bias packed.
    """

    tables: Sequence[Tensor]
    ids: Sequence[Tensor]
    bias: Tensor

    def structure(self) -> structures.LookUp:
        pointers = c_void_p * len(self.tables)
        tables, ids = pointers(*map(_address, self.tables)), pointers(*map(_address, self.ids))
        structure = structures.LookUp(
            len(self.tables), _address(self.bias), ctypes.addressof(tables), ctypes.addressof(ids)
        )
        structure.arrays = tables, ids  # keeps the arrays alive as long as the structure that points to them
        return structure


class Kernel:
    """One target's functions on torch tensors: float32, on the CPU, the last axis contiguous."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.name, self.width = target.name.decode(), int(target.width)

    def blocks(self, gates: int, units: int) -> int:
        """The number of column blocks in a row of `gates` times `units` numbers."""
        across = self.width if gates == 4 else 4 * self.width
        return -(-units // across)

    def packed(self, gates: int, units: int) -> int:
        """The number of floats in a packed row."""
        return self.blocks(gates, units) * 4 * self.width

    def pack(self, weight: Tensor, gates: int, precision: Precision = "float32") -> Tensor:
        """weight [gates * unit, depth] -> [block, depth, 4, width]; gates 4 (LSTM) or 1 (an RNN, a head).

        In bfloat16: int32 [block, pair, 4, width], each number a pair of weights.
        """
        units, depth = weight.shape[0] // gates, weight.shape[1]
        blocks = self.blocks(gates, units)
        across = self.packed(gates, units) // gates
        padded = weight.new_zeros(gates, across, depth, dtype=torch.float32)
        padded[:, :units] = weight.view(gates, units, depth)
        if precision == "bfloat16":
            padded, depth = _paired(padded), -(-depth // 2)
        if gates == 4:
            return padded.view(4, blocks, self.width, depth).permute(1, 3, 0, 2).contiguous()
        return padded.view(blocks, 4, self.width, depth).permute(0, 3, 1, 2).contiguous()

    def pack_row(self, bias: Tensor, gates: int) -> Tensor:
        """bias [gates * unit] -> one packed row."""
        return self.pack(bias[:, None], gates).reshape(-1)

    def project(self, x: Tensor, weights: Tensor, bias: Tensor | None, out: Tensor, rows: Tensor | None = None) -> None:
        """out[row] = (bias or out[row]) + W x[row].

        x [row, depth]; weights and bias packed; out [row, packed]; rows int64: the rows to compute; None: all.
        """
        count = x.shape[0] if rows is None else rows.shape[0]
        arguments = Projection(
            depth=x.shape[1],
            blocks=weights.shape[0],
            bfloat16=_is_paired(weights),
            count=count,
            rows=_address(rows),
            input=_address(x),
            input_stride=x.stride(0),
            weights=_address(weights),
            bias=_address(bias),
            out=_address(out),
            out_stride=out.stride(0),
        )
        self._target.project(arguments)

    def bag(self, table: Tensor, ids: Tensor, out: Tensor) -> None:
        """out[n] = mean of table[id] over the ids of bag n that are not 0; zero where all are 0.

        table [id, width]; ids int64 [bag, size]; out [bag, width], possibly a view with gaps between its rows.
        """
        arguments = Bag(
            size=ids.shape[1],
            width=table.shape[1],
            count=ids.shape[0],
            ids=_address(ids),
            table=_address(table),
            out=_address(out),
            out_stride=out.stride(0),
        )
        self._target.bag(arguments)

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

        Args: lengths int64 [batch]; order int64 [batch], the texts from the longest on; weights, packed W_hh;
              preactivations [batch * time, packed], W_ih x_t + b; look_up is added to them, and one of the two may be
              None; out [batch, time, unit], filled with h_t, possibly a view with gaps between its rows; record
              [tensor, batch, time, unit], filled with i, f, g, o, c and, where it has nine tensors, z_i, z_f, z_g, z_o
              (RNN: with z); state (h, c), each [batch, unit], the state before the first step, zero by default;
              last_cell_state [batch, unit], filled with c after each text's last step.
        """
        batch, time, units = out.shape
        h, c = state or (None, None)
        recorded, stride = (0, 0) if record is None else (record.shape[0], record.stride(0))
        arguments = Recurrence(
            gates=gates,
            units=units,
            texts=batch,
            time=time,
            bfloat16=_is_paired(weights),
            reverse=int(reverse),
            recorded=recorded,
            lengths=_address(lengths),
            order=_address(order),
            weights=_address(weights),
            preactivations=_address(preactivations),
            look_up=look_up and ctypes.pointer(look_up.structure()),
            out=_address(out),
            out_stride=out.stride(1),
            record=_address(record),
            record_stride=stride,
            hidden_state=_address(h),
            cell_state=_address(c),
            last_cell_state=_address(last_cell_state),
        )
        self._target.recur(arguments)

    def check(
        self,
        gates: int,
        reverse: bool,
        weights: CellWeights,
        x: NDArray[np.floating],
        activations: Sequence[NDArray[np.floating]],
        timesteps: NDArray[np.int64],
    ) -> float:
        """The largest difference in float64 between the activations of one text and the equations; see check.hpp.

        Args: weights in float32, as in the file; x [step, input], the inputs at `timesteps`; activations: h and, for an
              LSTM, c, i, f, g, o, each [time, unit]; timesteps to compute again, at most `CHECKED_STEPS`.
        """
        if len(timesteps) > CHECKED_STEPS:
            raise ValueError(f"{len(timesteps)} timesteps to check at once: at most {CHECKED_STEPS}")
        inputs, *recorded = (np.ascontiguousarray(values, np.float32) for values in (x, *activations))
        arguments = Check(
            gates=gates,
            units=weights.units,
            depth=inputs.shape[1],
            reverse=int(reverse),
            steps=len(timesteps),
            time=len(recorded[0]),
            timesteps=_array_address(timesteps),
            input=_array_address(inputs),
            weight_ih=_address(weights.weight_ih),
            weight_hh=_address(weights.weight_hh),
            bias_ih=_address(weights.bias_ih),
            bias_hh=_address(weights.bias_hh),
            activations=(c_void_p * 6)(*map(_array_address, recorded)),
        )
        self._target.check(arguments)
        return float(arguments.largest)

    def pool(self, states: Tensor, lengths: Tensor, out: Tensor) -> None:
        """Mean and maximum over each text's own timesteps: states [batch, time, unit] -> out [batch, 2 * unit]."""
        batch, time, width = states.shape
        self._target.pool(Pool(batch, time, width, _address(lengths), _address(states), _address(out)))


def _paired(weight: Tensor) -> Tensor:
    """float32 [..., depth] -> int32 [..., n]: weight k in the low half of pair k, weight n + k in its high one."""
    pairs = -(-weight.shape[-1] // 2)
    padded = torch.nn.functional.pad(weight, (0, 2 * pairs - weight.shape[-1]))
    halves = padded.bfloat16().view(torch.int16).to(torch.int32)
    return (halves[..., :pairs] & 0xFFFF) | (halves[..., pairs:] << 16)


def _is_paired(weights: Tensor) -> int:
    return int(weights.dtype == torch.int32)


def _address(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def _array_address(x: NDArray[Any]) -> int:
    """Several times as fast as x.ctypes.data."""
    return int(x.__array_interface__["data"][0])
