"""A million forged or altered state tokens against `service.sealing`: none may be accepted."""

import base64
import random
import time
from collections.abc import Iterator, Sequence

from service.errors import StateRejected
from service.sealing import Sealer, random_key

from .results import Results

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def forged(tokens: Sequence[str], draw: random.Random, count: int) -> Iterator[str]:
    """Tokens that none of `tokens` is: bits flipped, parts exchanged, cut, extended, another key's, or made up."""
    stranger = Sealer((random_key(),), 60)
    given = set(tokens)
    while count:
        token = draw.choice(tokens)
        made = _KINDS[count % len(_KINDS)](token, draw.choice(tokens), draw, stranger)
        if made not in given:
            count -= 1
            yield made


def _flipped(token: str, other: str, draw: random.Random, stranger: Sealer) -> str:
    raw = bytearray(base64.urlsafe_b64decode(token))
    for _ in range(draw.choice((1, 1, 1, 2, 8))):
        raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
    return base64.urlsafe_b64encode(raw).decode()


def _respelled(token: str, other: str, draw: random.Random, stranger: Sealer) -> str:
    place = draw.randrange(len(token))
    return token[:place] + draw.choice(_ALPHABET + "=+/ ") + token[place + 1 :]


def _spliced(token: str, other: str, draw: random.Random, stranger: Sealer) -> str:
    place = draw.randrange(len(token))
    return token[:place] + other[place:]


def _resized(token: str, other: str, draw: random.Random, stranger: Sealer) -> str:
    return token[: -draw.randrange(1, 40)] if draw.random() < 0.5 else token + other[: draw.randrange(1, 40)]


def _reheaded(token: str, other: str, draw: random.Random, stranger: Sealer) -> str:
    """Another version, key id, time or nonce before what was sealed."""
    raw = bytearray(base64.urlsafe_b64decode(token))
    first, last = draw.choice(((0, 1), (1, 5), (5, 13), (13, 45)))
    raw[first:last] = draw.randbytes(last - first)
    return base64.urlsafe_b64encode(raw).decode()


def _sealed_elsewhere(token: str, other: str, draw: random.Random, stranger: Sealer) -> str:
    """Another key's, under our key's id."""
    raw = bytearray(base64.urlsafe_b64decode(stranger.seal(draw.randbytes(len(token) * 3 // 4 - 61), "00" * 32)))
    raw[1:5] = base64.urlsafe_b64decode(token)[1:5]
    return base64.urlsafe_b64encode(raw).decode()


def _made_up(token: str, other: str, draw: random.Random, stranger: Sealer) -> str:
    return base64.urlsafe_b64encode(draw.randbytes(len(token) * 3 // 4)).decode()


_KINDS = (_flipped, _respelled, _spliced, _resized, _reheaded, _sealed_elsewhere, _made_up)


def run(count: int, seed: int = 0) -> Results:
    """Try them, and count those that are accepted."""
    sealer, weights, size = Sealer((random_key(),), 3600), "5a" * 32, 2660
    tokens = [sealer.seal(bytes(size), weights) for _ in range(64)]
    accepted, began = 0, time.perf_counter()
    for token in forged(tokens, random.Random(seed), count):
        try:
            sealer.open(token, size, weights)
            accepted += 1
        except StateRejected:
            pass
    assert all(sealer.open(token, size, weights) == bytes(size) for token in tokens)
    return {"tried": count, "accepted": accepted, "seconds": time.perf_counter() - began}
