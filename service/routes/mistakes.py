"""A ValidationError -> one sentence that names every mistake, and for an unknown field the one that may be meant."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_MOST = 12  # mistakes that are named; the others are counted
_MEANT = {  # what other services call a field -> what it is called here, where that is a field
    "text": ("inputs", "input"),
    "texts": ("inputs",),
    "sentence": ("inputs", "input"),
    "sentences": ("inputs",),
    "query": ("inputs", "input"),
    "prompt": ("inputs", "input"),
    "data": ("inputs", "input"),
    "instances": ("inputs",),
    "gates": ("tensors",),
    "label": ("target",),
    "model": ("models",),
    "time": ("timesteps", "timestep"),
    "k": ("top_k",),
}


def sentence(error: ValidationError, schema: type[BaseModel]) -> str:
    """Every mistake in the body's order; a missing field that an unknown one stands for is named once."""
    errors = error.errors(include_url=False)
    meant = {(*_place(e, schema)[:-1], near) for e in errors if (near := _nearest(e, schema))}
    named = [e for e in errors if e["type"] != "missing" or _place(e, schema) not in meant]
    parts = dict.fromkeys(_mistake(e, schema) for e in named[:_MOST])
    more = f" (and {len(named) - _MOST} more)" if len(named) > _MOST else ""
    return "; ".join(parts) + more


def _mistake(error: ErrorDetails, schema: type[BaseModel]) -> str:
    place = _place(error, schema)
    where = ".".join(map(_brief_name, place)) or "the body"
    if error["type"] == "extra_forbidden":
        near = _nearest(error, schema)
        owner = _owner(schema, place)
        hint = (
            f"did you mean {near}?"
            if near
            else f"allowed are {', '.join(owner.model_fields)}"
            if owner
            else "leave it out"
        )
        return f"{where} is not a field of this request: {hint}"
    if error["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return f"{where}: expected a JSON object, found {_brief(error['input'])}"
    message = error["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    found = "" if error["type"] in ("missing", "value_error") else f", found {_brief(error['input'])}"
    return f"{where}: {message}{found}"


def _place(error: ErrorDetails, schema: type[BaseModel]) -> tuple[str | int, ...]:
    """The path to the field, without the names that pydantic gives to the members of a union."""
    path: list[str | int] = []
    owner: type[BaseModel] | None = schema
    for part in error["loc"]:
        is_field = owner is not None and part in owner.model_fields
        is_last = part is error["loc"][-1]
        if isinstance(part, int) or is_field or (is_last and error["type"] == "extra_forbidden"):
            path.append(part)
            owner = _model_of(owner.model_fields[str(part)].annotation) if owner and is_field else owner
    return tuple(path)


def _nearest(error: ErrorDetails, schema: type[BaseModel]) -> str | None:
    """The field that an unknown one may stand for."""
    place = _place(error, schema)
    owner = _owner(schema, place)
    if error["type"] != "extra_forbidden" or owner is None:
        return None
    name, fields = str(place[-1]), list(owner.model_fields)
    close = difflib.get_close_matches(name.lower()[:64], fields, 1, cutoff=0.7)
    return next(iter(close or [field for field in _MEANT.get(name.lower(), ()) if field in fields]), None)


def _owner(schema: type[BaseModel], place: Sequence[str | int]) -> type[BaseModel] | None:
    """The model whose field the last part of the path is."""
    owner: type[BaseModel] | None = schema
    for part in place[:-1]:
        if owner is not None and isinstance(part, str):
            owner = _model_of(owner.model_fields[part].annotation) if part in owner.model_fields else None
    return owner


def _model_of(annotation: Any) -> type[BaseModel] | None:
    return next(_models(annotation), None)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _brief_name(part: str | int) -> str:
    return str(part) if len(str(part)) <= 60 else f"{str(part)[:57]}..."


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
