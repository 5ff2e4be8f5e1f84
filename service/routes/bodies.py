"""Reads, decodes and validates a body; each error is one sentence."""

import asyncio
import zlib
from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from ..errors import BodyTooLarge, EncodedBody, InvalidRequest, MalformedBody, NotAcceptable, NotJson, SlowBody
from ..exchange import BODY_IS_COMPLETE, exchange_of
from ..settings import Settings
from .mistakes import sentence

Schema = TypeVar("Schema", bound=BaseModel)
Headers = Mapping[bytes, bytes]
_DRAIN_FACTOR = 4  # read up to this many times the limit: a client still sending cannot read the 413
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # zlib's: a gzip or a zlib header


async def read(request: Request, schema: type[Schema], settings: Settings) -> Schema:
    """The body as `schema`.

    Raises: NotJson, EncodedBody, BodyTooLarge, SlowBody, MalformedBody, InvalidRequest.
    """
    return validate(decode(await content(request, settings), settings.max_json_depth), schema)


async def content(request: Request, settings: Settings) -> bytes:
    """The JSON of a body, not yet decoded.

    Raises: NotJson, EncodedBody, BodyTooLarge, SlowBody.
    """
    headers = exchange_of(request.scope).headers
    _check_content_type(headers)
    return inflated(headers, await read_bytes(request, settings), settings.max_body_bytes)


async def read_bytes(request: Request, settings: Settings) -> bytes:
    """Raises: SlowBody; BodyTooLarge, after reading on to a bound: a client still sending cannot read the answer."""
    if BODY_IS_COMPLETE in request.scope:  # nearly every request: there is nothing to wait for
        return await _read_all(request, settings.max_body_bytes)
    try:
        async with asyncio.timeout(settings.body_timeout_ms / 1000):
            return await _read_all(request, settings.max_body_bytes)
    except TimeoutError:
        raise SlowBody(settings.body_timeout_ms) from None


async def _read_all(request: Request, limit: int) -> bytes:
    chunk, more = await _chunk(request)
    if not more and len(chunk) <= limit:
        return chunk
    body, size = bytearray(chunk[:limit]), len(chunk)
    while more and size <= limit * _DRAIN_FACTOR:
        chunk, more = await _chunk(request)
        size += len(chunk)
        if size <= limit:
            body += chunk
    if size > limit:
        raise BodyTooLarge(limit)
    return bytes(body)


async def _chunk(request: Request) -> tuple[bytes, bool]:
    """The next part of the body, and whether more follow."""
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


def inflated(headers: Headers, body: bytes, limit: int) -> bytes:
    """The body without its content encoding; no more than `limit` bytes are ever inflated.

    Raises: EncodedBody, BodyTooLarge.
    """
    given = headers.get(b"content-encoding")
    if given is None:
        return body
    encoding = given.decode("latin-1").strip().lower()
    if encoding == "identity":
        return body
    if encoding not in _WINDOW_BITS:
        raise EncodedBody(encoding[:100])
    inflater = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error:
        raise EncodedBody(encoding, "it cannot be inflated") from None
    if len(plain) > limit:
        raise BodyTooLarge(limit)
    if not inflater.eof or inflater.unused_data:
        raise EncodedBody(encoding, "it is cut off or more follows its end")
    return plain


def decode(body: bytes, max_depth: int) -> Any:
    """Raises: MalformedBody (empty, NaN, lone surrogates, not UTF-8, nested too deep, ...)."""
    if not body.strip():
        raise MalformedBody("it is empty")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"{error.msg} at character {error.pos}") from error
    if body.count(b"[") + body.count(b"{") > max_depth and _depth(value, max_depth) > max_depth:
        raise MalformedBody(f"it is nested deeper than {max_depth} levels (GATESCOPE_MAX_JSON_DEPTH)")
    return value


def _depth(value: Any, bound: int) -> int:
    """How deep lists and objects are nested, or bound + 1 where it is more than `bound`."""
    level, depth = [value], 0
    while depth <= bound:
        level = [part for part in level if isinstance(part, list | dict)]
        if not level:
            return depth
        level = [child for part in level for child in (part.values() if isinstance(part, dict) else part)]
        depth += 1
    return depth


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
    given = exchange_of(request.scope).headers.get(b"accept", b"*/*")
    if given == b"*/*":
        return offered[0]
    header = given.decode("latin-1")
    if header in offered:  # nearly every other request
        return header
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


def _check_content_type(headers: Headers) -> None:
    found = headers.get(b"content-type")
    if found is None or found == b"application/json":
        return
    kind = found.decode("latin-1").split(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise NotJson(kind[:100])
