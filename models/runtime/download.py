"""What comes from a card to the host: everything that an answer needs, as one block."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Download:
    """Collects tensors of one device and copies them together.

    On CUDA the block goes through pinned memory and nobody waits for it before an array is read, so that the card
    computes the next batch meanwhile.
    """

    def __init__(self) -> None:
        self._parts: list[Tensor] = []
        self._host: Tensor | None = None
        self._arrived: Callable[[], None] = lambda: None
        self._arrays: list[NDArray[Any]] = []

    def add(self, x: Tensor) -> Callable[[], NDArray[Any]]:
        """x -> a call that gives its values on the host, for after `start`."""
        self._parts.append(x)
        place = len(self._parts) - 1
        return lambda: self._values()[place]

    def start(self) -> None:
        """Begin to copy what was added."""
        if not self._parts:
            return
        parts = sorted(self._parts, key=lambda x: -x.element_size())  # the widest first, so that each is aligned
        block = torch.cat([x.reshape(-1).view(torch.uint8) for x in parts])
        if block.device.type != "cuda":
            self._host = block.cpu()
            return
        self._host = torch.empty(block.shape, dtype=torch.uint8, device="cpu", pin_memory=True)
        self._host.copy_(block, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        self._arrived = event.synchronize

    def _values(self) -> list[NDArray[Any]]:
        """The arrays in the order in which they were added; waits for the block when first called."""
        if self._arrays:
            return self._arrays
        assert self._host is not None, "start comes first"
        self._arrived()
        # A copy: pinned memory is lent, and goes back when the answer is written.
        block, begin = self._host.numpy().copy(), 0
        order = sorted(range(len(self._parts)), key=lambda n: -self._parts[n].element_size())
        found: dict[int, NDArray[Any]] = {}
        for n in order:
            part = self._parts[n]
            end = begin + part.numel() * part.element_size()
            dtype = np.dtype(str(part.dtype).removeprefix("torch."))
            found[n] = block[begin:end].view(dtype).reshape(tuple(part.shape))
            begin = end
        self._arrays, self._parts, self._host = [found[n] for n in range(len(found))], [], None
        return self._arrays
