"""OpenAPI for routes that read and write bytes themselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from models.analysis.methods import METHODS

from ..wire import schemas, schemas_analyses
from ..wire.rendering import NPZ, SAFETENSORS

_REQUESTS: tuple[type[BaseModel], ...] = tuple(
    kind
    for module in (schemas, schemas_analyses)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, schemas.StrictRequest) and kind.__name__.endswith("Request")
)
_STATUSES = {
    400: "malformed JSON",
    404: "no such model",
    406: "an Accept that cannot be met",
    413: "body, batch or answer too large",
    415: "not JSON",
    422: "well-formed, but not valid",
    429: "the queue is full",
    503: "loading or draining",
    504: "deadline passed",
}


def body(schema: type[BaseModel]) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{schema.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": reference}}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    reference = {"$ref": "#/components/schemas/Problem"}
    return {
        s: {"description": _STATUSES[s], "content": {"application/problem+json": {"schema": reference}}}
        for s in statuses
    }


def json_answer(schema: type[BaseModel], binary: bool = False) -> dict[int | str, dict[str, Any]]:
    raw = {"schema": {"type": "string", "format": "binary"}}
    content = {SAFETENSORS: raw, NPZ: raw} if binary else {}
    return {200: {"model": schema, "content": content}, **problems(*_STATUSES)}


def picture(*media_types: str) -> dict[int | str, dict[str, Any]]:
    raw = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": "the picture", "content": dict.fromkeys(media_types, raw)}, **problems(*_STATUSES)}


def install(app: FastAPI) -> None:
    """Complete the OpenAPI document with the request schemas that the routes parse themselves."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            wanted = [(schema, "validation") for schema in _REQUESTS] + [(schemas.Problem, "serialization")]
            _, definitions = models_json_schema(wanted, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
            for (schema, field), values in _closed_fields().items():
                described = definitions["$defs"][schema]["properties"][field]
                described.get("anyOf", [described])[0]["enum"] = values
            document.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _closed_fields() -> dict[tuple[str, str], list[str]]:
    """(schema, field) -> its values, where a table that the wire does not know closes them."""
    from ..pictures.views import VIEWS  # imports matplotlib, which no other start of the server waits for

    methods = list(METHODS)
    return {
        ("AttributeRequest", "method"): methods,
        ("CompareModelsRequest", "method"): methods,
        ("RenderRequest", "view"): list(VIEWS),
    }
