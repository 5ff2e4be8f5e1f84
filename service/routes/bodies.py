"""Reads, decodes and validates a body; each error is one sentence."""

from typing import Any, TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from ..errors import BodyTooLarge, EncodedBody, InvalidRequest, MalformedBody, NotAcceptable, NotJson
from .mistakes import sentence

Schema = TypeVar("Schema", bound=BaseModel)
_DRAIN_FACTOR = 4  # read up to this many times the limit: a client still sending cannot read the 413


async def read(request: Request, schema: type[Schema], limit: int) -> Schema:
    """The body as `schema`.

    Raises: NotJson, EncodedBody, BodyTooLarge, MalformedBody, InvalidRequest.
    """
    _check_content_type(request)
    return validate(decode(await read_bytes(request, limit)), schema)


async def read_bytes(request: Request, limit: int) -> bytes:
    """Raises: BodyTooLarge, after reading on to a bound: a client that is still sending cannot read the answer."""
    chunks, size, more = [], 0, True
    while more and size <= limit * _DRAIN_FACTOR:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size, more = size + len(chunk), message.get("more_body", False)
        if size <= limit:
            chunks.append(chunk)
    if size > limit:
        raise BodyTooLarge(limit)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def decode(body: bytes) -> Any:
    """Raises: MalformedBody (empty, NaN, lone surrogates, not UTF-8, nested too deep, ...)."""
    if not body.strip():
        raise MalformedBody("it is empty")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"{error.msg} at character {error.pos}") from error


def validate(value: Any, schema: type[Schema]) -> Schema:
    """Raises: InvalidRequest, one sentence that names every error."""
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        raise InvalidRequest(sentence(error, schema)) from None


def accepted(request: Request, offered: tuple[str, ...]) -> str:
    """The offered media type that the client prefers; of equal ones the first.

    Raises: NotAcceptable.
    """
    header = request.headers.get("accept", "*/*")
    if header == "*/*" or header in offered:  # nearly every request
        return offered[0] if header == "*/*" else header
    best, best_quality = None, 0.0
    for media_type in offered:
        quality = _quality(header, media_type)
        if quality > best_quality:
            best, best_quality = media_type, quality
    if best is None:
        raise NotAcceptable(header[:100], offered)
    return best


def _quality(header: str, media_type: str) -> float:
    """The q of the most specific range that matches `media_type` (RFC 9110, 12.5.1)."""
    found = (-1, 0.0)
    for part in header.split(","):
        name, *parameters = (p.strip() for p in part.split(";"))
        specific = {media_type: 2, f"{media_type.split('/')[0]}/*": 1, "*/*": 0}.get(name.lower() or "*/*", -1)
        if specific > found[0]:
            found = (specific, _q(parameters))
    return found[1]


def _q(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.lower().startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def _check_content_type(request: Request) -> None:
    if request.headers.get("content-type") == "application/json" and "content-encoding" not in request.headers:
        return
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise EncodedBody(encoding[:100])
    found = request.headers.get("content-type")
    if found is None:
        return
    kind = found.split(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise NotJson(kind[:100])
