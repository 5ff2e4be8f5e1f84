"""Decodes a chunk: JSON in which the text may end with one half of a surrogate pair and begin with the other."""

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from ..errors import MalformedBody
from .bodies import decode


@dataclass(frozen=True)
class DecodedChunk:
    """value: the JSON without half pairs at the ends of its text; low and high: those, "" where there is none."""

    value: Any
    low: str = ""
    high: str = ""


def decode_chunk(body: bytes, max_depth: int) -> DecodedChunk:
    """As `bodies.decode`, but for halves of pairs at the ends of the field `text`, where JavaScript may cut a string.

    Raises: MalformedBody.
    """
    try:
        return DecodedChunk(decode(body, max_depth))
    except MalformedBody as error:
        if b"\\ud" not in body.lower():
            raise
        found = _with_halves(body)
        if found is None:
            raise error from None
        decode(json.dumps(found.value).encode(), max_depth)  # for its depth alone
        return found


def _with_halves(body: bytes) -> DecodedChunk | None:
    """None where the body is malformed in any other way."""
    try:
        value = json.loads(body.decode(), parse_constant=_refuse)
        text = value["text"]
        low = text[:1] if "\udc00" <= text[:1] <= "\udfff" else ""
        high = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        value["text"] = text[len(low) : len(text) - len(high)]
        json.dumps(value, ensure_ascii=False).encode()  # fails where another half stands anywhere
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return DecodedChunk(value, low, high)


def whole_text(decoded: DecodedChunk, text: str, tail: str) -> str:
    """The chunk with its halves, which have to meet their other halves.

    tail: what was read of the text before, perhaps with a half at its end.
    Raises: MalformedBody.
    """
    waits = "\ud800" <= tail[-1:] <= "\udbff"
    fed = decoded.low + text + decoded.high
    if fed and waits != bool(decoded.low):
        where = "the last chunk ends" if waits else "this chunk begins"
        raise MalformedBody(f"{where} with one half of a surrogate pair, and the other is missing")
    return fed


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
