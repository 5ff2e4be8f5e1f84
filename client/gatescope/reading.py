"""JSON values -> dataclasses, by their annotations. A field that this version does not know is left out."""

import dataclasses
import functools
import types
import typing
from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def read(kind: type[T], value: Any) -> T:
    """Raises: ValueError, TypeError or KeyError where the value is not of this kind."""
    read_value: T = _read(kind, value)
    return read_value


def _read(kind: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _read(next(a for a in arguments if a is not type(None)), value)
    if origin is tuple:
        return _items(arguments, value)
    if origin in (dict, Mapping):
        return {name: _read(arguments[1], item) for name, item in _checked(dict, value).items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and not isinstance(value, kind):
        fields = _fields(kind)
        known = {name: item for name, item in _checked(dict, value).items() if name in fields}
        return kind(**{name: _read(fields[name], item) for name, item in known.items()})
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return _checked(kind, value)


def _items(kinds: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    items = _checked(list, value)
    if kinds[-1] is Ellipsis:
        return tuple(_read(kinds[0], item) for item in items)
    return tuple(_read(kind, item) for kind, item in zip(kinds, items, strict=True))


def _checked(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"found {type(value).__name__} where {kind.__name__} belongs")
    return value


@functools.cache
def _fields(kind: Hashable) -> dict[str, Any]:
    """The fields that an answer fills, and their types."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}  # type: ignore[arg-type]
