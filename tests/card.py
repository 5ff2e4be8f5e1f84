"""A card that is not there: tensors that live on a device of their own, computed on the CPU.

    with Card() as card:
        predictor = Predictor(checkpoint, card.device)

On a real card an operation on one tensor of the card and one of the host fails, and so does ``.numpy()`` without
``.cpu()``. Here they fail as well, on any machine: a factory that is called without ``device=`` makes a host tensor,
which cannot meet the card's. Every copy from the card to the host is counted.

Each tensor of the card wraps a tensor of the CPU, and torch's dispatcher says which operation runs. The device's name
is one that torch knows and that has no backend, so nothing runs on it by accident.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map_only

DEVICE = torch.device("lazy")
HOST = torch.device("cpu")
_INDEXED = ("aten::index", "aten::index_put_", "aten::index_put")  # whose indices may lie on the host, as with CUDA
_EITHER = ("aten::copy_", "aten::_has_compatible_shallow_copy_type")


class MixedDevices(AssertionError):
    """An operation on tensors of the card and of the host."""


class OnCard(torch.Tensor):
    """A tensor of the card; `host` has its values."""

    host: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, host: torch.Tensor) -> "OnCard":
        layout = {"strides": host.stride(), "storage_offset": host.storage_offset()}
        with torch.inference_mode(False):  # so that a view of a parameter can be made in either mode
            made = torch.Tensor._make_wrapper_subclass(cls, host.shape, dtype=host.dtype, device=DEVICE, **layout)
        made.host = host
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise MixedDevices(f"{func} runs on a tensor of the card outside of its Card")


class Card(TorchDispatchMode):
    """The context in which the card is there. copied: bytes to the host so far; copies: how often."""

    device = DEVICE

    def __init__(self) -> None:
        super().__init__()
        self.copied = self.copies = 0
        self._factories = _Factories()

    def __enter__(self) -> "Card":
        super().__enter__()
        self._factories.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._factories.__exit__(*error)
        super().__exit__(*error)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = func._schema.name
        if name == "aten::_has_compatible_shallow_copy_type":
            return isinstance(args[0], OnCard) == isinstance(args[1], OnCard)
        tensors = [x for x in tree_iter((args, kwargs)) if isinstance(x, torch.Tensor)]
        on_card = [x for x in tensors if isinstance(x, OnCard)]
        wanted = kwargs.get("device") or next((x for x in args if isinstance(x, torch.device)), None)
        self._check(name, args, tensors, on_card)
        self._count(name, args, on_card, wanted)
        if "device" in kwargs:
            kwargs["device"] = HOST
        args = tuple(HOST if isinstance(x, torch.device) else x for x in args)
        if kwargs.get("pin_memory"):
            kwargs["pin_memory"] = False
        host_args, host_kwargs = tree_map_only(OnCard, lambda x: x.host, (args, kwargs))
        out = func(*host_args, **host_kwargs)
        into_host = name == "aten::copy_" and not isinstance(args[0], OnCard)
        if wanted != DEVICE and (wanted is not None or not on_card or into_host):
            return out
        return tree_map_only(torch.Tensor, lambda x: _wrapped(x, tensors), out)

    def _check(self, name: str, args: Sequence[Any], tensors: Sequence[Any], on_card: Sequence[Any]) -> None:
        if not on_card or name in _EITHER:
            return
        allowed = {id(x) for x in tree_iter(args[1])} if name in _INDEXED else set()
        strangers = [x for x in tensors if not isinstance(x, OnCard) and x.dim() and id(x) not in allowed]
        if strangers:
            raise MixedDevices(f"{name} on tensors of the card and of the host: {[tuple(x.shape) for x in strangers]}")

    def _count(self, name: str, args: Sequence[Any], on_card: Sequence[Any], wanted: Any) -> None:
        to_host = wanted is not None and torch.device(wanted) == HOST and on_card
        into_host = name == "aten::copy_" and on_card and not isinstance(args[0], OnCard)
        if to_host or into_host or name in ("aten::_local_scalar_dense", "aten::item", "aten::equal"):
            self.copied += sum(x.numel() * x.element_size() for x in on_card)
            self.copies += 1 if on_card else 0


def _wrapped(result: torch.Tensor, given: Sequence[torch.Tensor]) -> OnCard:
    """The card's tensor of a result; what an operation wrote in place stays the same object."""
    for x in given:
        if isinstance(x, OnCard) and x.host is result:
            return x
    return OnCard(result.clone() if any(x is result for x in given) else result)


class _Factories(TorchFunctionMode):
    """What torch does before its dispatcher is asked: lists become tensors."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        if func is torch.Tensor.tolist and isinstance(args[0], OnCard):
            return args[0].cpu().tolist()
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__) and isinstance(args[0], OnCard):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            args = (
                args[0],
                tuple(_to_card(i, list) for i in index),
                *(_to_card(v, (bool, int, float)) for v in args[2:]),
            )
        return func(*args, **kwargs)


def _to_card(value: Any, kinds: type | tuple[type, ...]) -> Any:
    if not isinstance(value, kinds):
        return value
    return torch.tensor(value, dtype=torch.int64 if value == [] else None).to(DEVICE)
