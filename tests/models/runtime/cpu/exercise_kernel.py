"""Runs every function of a built library on awkward shapes; a build with sanitizers ends at the first fault.

Usage: exercise_kernel.py LIBRARY
"""

import sys
from pathlib import Path

import numpy as np
import torch

from models.recurrence.cells import CellWeights
from models.runtime.cpu.kernel import CHECKED_STEPS, Kernel, LookUp, Precision, available


def exercise(
    kernel: Kernel, gates: int, units: int, depth: int, lengths: list[int], reverse: bool, precision: Precision
) -> None:
    batch, time = len(lengths), max(lengths)
    packed = kernel.packed(gates, units)
    table, bias = torch.randn(5, packed), torch.randn(packed)
    ids = torch.randint(5, (batch * time,))
    pre, n = torch.empty(batch * time, packed), torch.tensor(lengths)
    rows = (torch.arange(time) < n[:, None]).view(-1).nonzero()[:, 0]
    look_up = LookUp([table, table], [ids, ids], bias)
    kernel.project(
        torch.randn(batch * time, depth),
        kernel.pack(torch.randn(gates * units, depth), gates, precision),
        bias,
        pre,
        rows,
    )
    out = torch.empty(batch, time, 2 * units)[:, :, units:]
    record = torch.empty(9 if gates == 4 else 1, batch, time, units)
    state = torch.zeros(batch, units), torch.zeros(batch, units)
    order = torch.argsort(n, descending=True, stable=True)
    weights = kernel.pack(torch.randn(gates * units, units) / 10, gates, precision)
    for recorded in (None, record[:5] if gates == 4 else record, record):
        for looked_up, preactivations in ((None, pre), (look_up, pre), (look_up, None)):
            last = torch.empty(batch, units)
            kernel.recur(gates, reverse, n, order, weights, preactivations, out, recorded, state, last, looked_up)
    assert out.isfinite().all()
    file_weights = CellWeights(*(torch.randn(gates * units, *n) for n in ((depth,), (units,), (), ())))
    activations = torch.rand(6 if gates == 4 else 1, batch * time, units).numpy()
    steps = np.arange(min(CHECKED_STEPS, batch * time))
    x = torch.randn(len(steps), depth).numpy()
    assert np.isfinite(kernel.check(gates, reverse, file_weights, x, list(activations), steps))
    kernel.bag(torch.randn(5, 7), torch.randint(5, (6, 3)), torch.empty(6, 9)[:, 2:])
    kernel.pool(out.contiguous(), n, torch.empty(batch, 2 * units))


def main() -> None:
    kernels = available(Path(sys.argv[1]))
    for kernel in kernels:
        for gates in (1, 4):
            for units in (1, 7, 16, 65):
                for lengths in ([1], [3], [5, 1, 2], [2, 7, 7, 1, 4, 6, 3, 5, 2, 1, 7, 7, 4]):
                    for reverse in (False, True):
                        exercise(kernel, gates, units, 9, lengths, reverse, "float32")
                        exercise(kernel, gates, units, 9, lengths, reverse, "bfloat16")
    assert len(kernels) > 0
    print("every target was exercised")


main()
