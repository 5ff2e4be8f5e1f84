"""Validates an object against the classes that KServe and Kubernetes generate from their published OpenAPI schemas.

Those classes check required fields when they are made; here every name and type is checked too, so that a field that is
misspelt is no field.
"""

import importlib
import re
from typing import Any

import kserve.models
import kubernetes.client.models

PLAIN = {"str": str, "int": int, "float": (int, float), "bool": bool}


def validate(value: Any, kind: str, path: str = "") -> None:
    """Raises: ValueError, naming the path."""
    if kind.lower().startswith("list["):
        _expect(isinstance(value, list), path, kind, value)
        for n, item in enumerate(value):
            validate(item, kind[5:-1], f"{path}[{n}]")
    elif found := re.match(r"dict[\[(]str, (.+)[\])]$", kind, re.IGNORECASE):
        _expect(isinstance(value, dict), path, kind, value)
        for name, item in value.items():
            validate(item, found[1], f"{path}.{name}")
    elif kind in PLAIN:
        _expect(isinstance(value, PLAIN[kind]), path, kind, value)
    elif kind in ("object", "ResourceQuantity", "IntOrString", "IntstrIntOrString"):
        _expect(isinstance(value, str | int | float), path, kind, value)
    else:
        _validate_object(value, _class(kind), path)


def _validate_object(value: Any, known: type[Any], path: str) -> None:
    _expect(isinstance(value, dict), path, known.__name__, value)
    fields = {wire: name for name, wire in known.attribute_map.items()}
    for name, item in value.items():
        if name not in fields:
            raise ValueError(f"{path}.{name} is no field of {known.__name__}: it has {', '.join(sorted(fields))}")
        validate(item, known.openapi_types[fields[name]], f"{path}.{name}")
    try:
        known(**{fields[name]: item for name, item in value.items()})  # it checks what is required
    except ValueError as error:
        raise ValueError(f"{path or known.__name__}: {error}") from None


def _expect(true: bool, path: str, kind: str, value: Any) -> None:
    if not true:
        raise ValueError(f"{path} is {value!r}: {kind} is asked")


def _class(kind: str) -> type[Any]:
    for models in (kserve.models, kubernetes.client.models):
        if hasattr(models, kind):
            found: type[Any] = getattr(models, kind)
            return found
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()
    found = getattr(importlib.import_module(f"kserve.models.{snake}"), kind)
    return found
