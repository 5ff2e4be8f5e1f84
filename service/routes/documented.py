"""OpenAPI for routes that read and write bytes themselves.

`examples.json` has for each operation a request that works as it stands against the shipped models, and its answer:
`make examples` asks them anew.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, get_args

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from models.analysis.methods import METHODS

from ..wire import problems as table
from ..wire import schemas, schemas_analyses, schemas_streaming
from ..wire.rendering import NPZ, SAFETENSORS

EXAMPLES = Path(__file__).with_name("examples.json")
JSON = "application/json"
_REQUESTS: tuple[type[BaseModel], ...] = tuple(
    kind
    for module in (schemas, schemas_analyses, schemas_streaming)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, schemas.StrictRequest)
)
_STATUSES = {
    400: "malformed JSON",
    401: "no valid API key, where keys are set",
    404: "no such model",
    406: "an Accept that cannot be met",
    408: "the body arrives too slowly",
    413: "body, batch or answer too large",
    415: "not JSON, or a content encoding other than gzip and deflate",
    422: "well-formed, but not valid",
    429: "the queue is full: Retry-After says when to come back",
    500: "a bug of the server",
    503: "loading or draining: Retry-After says when to come back",
    504: "deadline passed",
}
_RETRY_AFTER = {"description": "whole seconds, 1 or more", "schema": {"type": "integer", "minimum": 1}}
_PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "name": ("of a model: `GET /v1/models` lists them", {"type": "string"}),
    "layer": ("from 0", {"type": "integer", "minimum": 0}),
    "direction": ("of the layer", {"type": "string", "enum": list(get_args(schemas.Direction))}),
    "unit": ("from 0", {"type": "integer", "minimum": 0}),
}


def body(schema: type[BaseModel]) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{schema.__name__}"}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": reference}}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    reference = {"$ref": "#/components/schemas/Problem"}
    content = {table.MEDIA_TYPE: {"schema": reference}}
    plain: dict[int | str, dict[str, Any]] = {s: {"description": _STATUSES[s], "content": content} for s in statuses}
    return plain | {s: plain[s] | {"headers": {"Retry-After": _RETRY_AFTER}} for s in (429, 503) if s in plain}


def json_answer(schema: type[BaseModel], binary: bool = False) -> dict[int | str, dict[str, Any]]:
    raw = {"schema": {"type": "string", "format": "binary"}}
    content = {SAFETENSORS: raw, NPZ: raw} if binary else {}
    return {200: {"model": schema, "content": content}, **problems(*_STATUSES)}


def picture(*media_types: str) -> dict[int | str, dict[str, Any]]:
    raw = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": "the picture", "content": dict.fromkeys(media_types, raw)}, **problems(*_STATUSES)}


def install(app: FastAPI) -> None:
    """Complete the OpenAPI document with what the framework cannot know: requests, parameters and examples."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            _add_schemas(document)
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    _complete(operation, examples().get(f"{method.upper()} {path}", {}))
                    if not path.startswith("/health"):
                        operation["responses"].setdefault("401", problems(401)[401])
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


@cache
def examples() -> dict[str, dict[str, Any]]:
    """``POST /v1/models/{name}/predict`` -> its path's parameters, request and answer."""
    found: dict[str, dict[str, Any]] = json.loads(EXAMPLES.read_text("utf-8"))
    return found


def _add_schemas(document: dict[str, Any]) -> None:
    named = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document["paths"])))
    wanted = [(schema, "validation") for schema in _REQUESTS if schema.__name__ in named]
    wanted.append((schemas.Problem, "serialization"))
    _, definitions = models_json_schema(wanted, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    for (schema, field), values in _closed_fields().items():
        described = definitions["$defs"][schema]["properties"][field]
        described.get("anyOf", [described])[0]["enum"] = values
    components = document.setdefault("components", {}).setdefault("schemas", {})
    components.update(definitions["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):  # the framework's own, which no route answers with
        components.pop(unused, None)


def _complete(operation: dict[str, Any], example: dict[str, Any]) -> None:
    """Descriptions and examples of one operation, in place."""
    for parameter in operation.get("parameters", []):
        parameter["description"], parameter["schema"] = _PARAMETERS[parameter["name"]]
        if parameter["name"] in example.get("path", {}):
            parameter["example"] = example["path"][parameter["name"]]
    if JSON in operation["responses"].get("422", {}).get("content", {}):  # the framework's own, which never comes
        del operation["responses"]["422"]
    if "request" in example:
        operation["requestBody"]["content"][JSON]["example"] = example["request"]
    if "answer" in example:
        operation["responses"]["200"]["content"][JSON]["example"] = example["answer"]


def _closed_fields() -> dict[tuple[str, str], list[str]]:
    """(schema, field) -> its values, where a table that the wire does not know closes them."""
    from ..pictures.views import VIEWS  # imports matplotlib, which no other start of the server waits for

    methods = list(METHODS)
    return {
        ("AttributeRequest", "method"): methods,
        ("CompareModelsRequest", "method"): methods,
        ("RenderRequest", "view"): list(VIEWS),
    }
