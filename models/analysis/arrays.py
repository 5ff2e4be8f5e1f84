"""Where the numbers of an analysis are: numpy arrays of what is on the host, torch tensors of what is on a card.

The equations of this room are written once, in what the two libraries share. On the host numpy computes them, whose
calls cost a third of torch's on one text; what lies on a card is computed there, and only the result is copied.
"""

from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = Any  # NDArray[np.floating] on the host, Tensor on a card
Mask = Any  # the same of bool


def host(x: Tensor) -> NDArray[np.floating]:
    """A tensor's values for numpy; what is not float64 comes as float32."""
    x = x.detach() if x.dtype == torch.float64 else x.detach().float()
    out: NDArray[np.floating] = x.cpu().numpy()
    return out


def where_it_is(x: Tensor) -> Array:
    """As `host`, but a tensor of a card stays there."""
    if x.device.type == "cpu":
        return host(x)
    return x.detach() if x.dtype == torch.float64 else x.detach().float()


def fetched(x: Array) -> NDArray[Any]:
    """On the host at last."""
    return host(x) if isinstance(x, Tensor) else np.asarray(x)


def library(x: Array) -> ModuleType:
    """torch for a tensor, else numpy: they share the names that are used here."""
    return torch if isinstance(x, Tensor) else np


def empty(shape: tuple[int, ...], like: Array) -> Array:
    return like.new_empty(shape) if isinstance(like, Tensor) else np.empty(shape, like.dtype)


def double(x: Array) -> Array:
    return x.double() if isinstance(x, Tensor) else x.astype(np.float64)


def same_type(x: Array, like: Array) -> Array:
    """x in the precision of `like`."""
    return x.to(like.dtype) if isinstance(x, Tensor) else x.astype(like.dtype, copy=False)


def reading_order(x: Array, direction: str) -> Array:
    """[time, ...] in the order in which the direction reads, or from that order back."""
    if direction == "forward":
        return x
    return x.flip(0) if isinstance(x, Tensor) else x[::-1]


def inside_mask(lengths: Tensor, time: int, like: Array) -> Mask:
    """True at the timesteps of each text: bool [time, batch, 1]."""
    if isinstance(like, Tensor):
        return (torch.arange(time, device=like.device)[:, None] < lengths.to(like.device))[:, :, None]
    return (np.arange(time)[:, None] < lengths.cpu().numpy())[:, :, None]


def total(x: Array, axes: tuple[int, ...]) -> Array:
    """The sum over these axes, in float64."""
    return x.sum(axes, dtype=library(x).float64)


def einsum(subscripts: str, a: Array, b: Array) -> Array:
    """In float64."""
    if isinstance(a, Tensor):
        return torch.einsum(subscripts, a.double(), b.double())
    return np.einsum(subscripts, a, b, dtype=np.float64)


def product(a: Array, b: Array) -> Array:
    """a @ b by torch's threads: numpy's own, woken between torch's products, fight with them for the cores."""
    if isinstance(a, Tensor):
        return a @ b
    return (torch.from_numpy(a) @ torch.from_numpy(b)).numpy()
