"""Requests as an attacker or a broken client sends them: seeded, so that each can be sent again."""

import gzip
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

CANARY = "密語CANARY"  # of a user's text: it may never stand in a log
_HOSTILE: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, 10**30, -(10**400), "", " ", "\x00", "\ud800", "\u202e" + CANARY, "字" * 3000, "a" * 70_000,
    [], {}, [[]], [None], ["x"] * 300, {"inputs": "x"}, [1, "x"], "../../etc/passwd", "'; DROP TABLE x; --", "${7*7}",
    {"__class__": "x"}, "nan", [[["x"] * 3] * 3] * 3,
)  # fmt: off
_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-type", b"text/plain"), (b"content-type", b"application/json; charset=utf-7"), (b"content-type", b""),
    (b"content-encoding", b"gzip"), (b"content-encoding", b"br"), (b"content-encoding", b"gzip, gzip"),
    (b"accept", b"image/png"), (b"accept", b";;;q=,,/"), (b"accept", b"application/x-npz;q=nan"),
    (b"inference-header-content-length", b"99999999999"), (b"inference-header-content-length", b"-1"),
    (b"x-deadline-ms", b"0"), (b"x-deadline-ms", b"9" * 300), (b"x-deadline-ms", b"1"), (b"range", b"bytes=0-,-1"),
    (b"x-request-id", b"\xff" * 200), (b"authorization", b"Bearer " + b"x" * 5000), (b"cookie", b"a=" + b"b" * 9000),
    (b"expect", b"100-continue"), (b"upgrade", b"h2c"), (b"upgrade", b"websocket"), (b"host", b"evil.example"),
    (b"origin", b"https://evil.example"), (b"x-forwarded-for", b"1.2.3.4"), (b"content-length", b"5"),
    (b"content-length", b"-7"), (b"content-length", b"1e9"), (b"transfer-encoding", b"chunked"), (b"bad name", b"x"),
    (b"transfer-encoding", b"gzip, chunked"), (b"te", b"trailers"), (b"if-none-match", b"*" * 1000),
)  # fmt: off
METHODS = ("POST",) * 12 + ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY", "x" * 40)


@dataclass(frozen=True)
class Hostile:
    """What is sent, as it is sent; kind: how it was made."""

    kind: str
    raw: bytes


class Attacker:
    """Draws requests to these paths. examples: a good body of some of the paths, to spoil."""

    def __init__(self, paths: Sequence[str], examples: Sequence[tuple[str, Any]], seed: int) -> None:
        self.paths, self.examples, self.draw = paths, examples, random.Random(seed)
        self.makers: list[Callable[[], Hostile]] = [
            self.random_bytes, self.spoiled_bytes, self.spoiled_value, self.deep, self.headers, self.long_header,
            self.raw, self.compressed, self.odd_path,
        ]  # fmt: off

    def next(self, number: int) -> Hostile:
        return self.makers[number % len(self.makers)]()

    def _request(self, kind: str, path: str, body: bytes, *headers: tuple[bytes, bytes]) -> Hostile:
        head = [f"{self.draw.choice(METHODS)} {path} HTTP/1.1".encode("utf-8", "surrogatepass")]
        given = {name for name, _ in headers}
        if b"host" not in given:
            head.append(b"host: 127.0.0.1")
        if b"content-length" not in given and b"transfer-encoding" not in given:
            head.append(b"content-length: %d" % len(body))
        head += [b"%b: %b" % header for header in headers] + [b"connection: close"]
        return Hostile(kind, b"\r\n".join(head) + b"\r\n\r\n" + body)

    def _path(self) -> str:
        return self.draw.choice(self.paths)

    def _spoilable(self) -> tuple[str, Any]:
        return self.draw.choice(self.examples)

    def random_bytes(self) -> Hostile:
        return self._request("random bytes as the body", self._path(), self.draw.randbytes(self.draw.randrange(4096)))

    def spoiled_bytes(self) -> Hostile:
        path, example = self._spoilable()
        body = bytearray(json.dumps(example).encode())
        for _ in range(self.draw.randrange(1, 6)):
            at = self.draw.randrange(len(body))
            kind = self.draw.randrange(3)
            if kind == 0:
                body[at] = self.draw.randrange(256)
            elif kind == 1:
                del body[at : at + self.draw.randrange(1, 9)]
            else:
                body[at:at] = self.draw.choice((b"\x00", b'"', b"{", b"NaN", b"1e999", b"\\ud800", b"\xff"))
            body = body or bytearray(b" ")
        return self._request("a good body with bytes changed", path, bytes(body))

    def spoiled_value(self) -> Hostile:
        path, example = self._spoilable()
        value = json.loads(json.dumps(example))
        found = value
        while isinstance(found, dict) and found:
            key = self.draw.choice(sorted(found))
            inner = found[key]
            if isinstance(inner, dict) and inner and self.draw.random() < 0.7:
                found = inner
                continue
            found[self.draw.choice((key, key, key, CANARY))] = self.draw.choice(_HOSTILE)
            break
        return self._request("a good body with a hostile value", path, json.dumps(value).encode())

    def deep(self) -> Hostile:
        depth = self.draw.choice((1, 31, 32, 33, 34, 100, 1000, 100_000))
        opening, closing = self.draw.choice(((b"[", b"]"), (b'{"inputs":', b"}")))
        body = opening * depth + b'"x"' + closing * (depth if self.draw.random() < 0.8 else depth // 2)
        return self._request("nested", self._path(), body)

    def headers(self) -> Hostile:
        path, example = self._spoilable()
        body = json.dumps(example).encode()
        return self._request("hostile headers", path, body, *self.draw.sample(_HEADERS, self.draw.randrange(1, 4)))

    def long_header(self) -> Hostile:
        size = self.draw.choice((100, 8_000, 32_000, 32_600, 32_768, 33_000, 200_000))
        path, example = self._spoilable()
        body = json.dumps(example).encode()
        name = b"x-" + b"n" * (size // 2) if self.draw.random() < 0.3 else b"x-filler"
        return self._request("long headers", path, body, (name, b"v" * (size - len(name))))

    def raw(self) -> Hostile:
        good = self._request("", self._path(), b"{}").raw
        kind = self.draw.randrange(4)
        if kind == 0:
            return Hostile("bytes that are no HTTP", self.draw.randbytes(self.draw.randrange(1, 2000)))
        if kind == 1:
            return Hostile("bytes that are no HTTP", good[: self.draw.randrange(1, len(good))])
        if kind == 2:
            return Hostile("bytes that are no HTTP", good.replace(b"\r\n", self.draw.choice((b"\n", b"\r", b"\0\r\n"))))
        at = self.draw.randrange(len(good))
        return Hostile("bytes that are no HTTP", good[:at] + self.draw.randbytes(9) + good[at:])

    def compressed(self) -> Hostile:
        path, example = self._spoilable()
        body = gzip.compress(json.dumps(example).encode(), 1)
        kind = self.draw.randrange(3)
        if kind == 0:
            body = body[: self.draw.randrange(len(body))]
        elif kind == 1:
            body = gzip.compress(b" " * 40_000_000, 9)  # larger than a body may be, in forty kilobytes
        else:
            body += self.draw.randbytes(20)
        return self._request("spoiled gzip", path, body, (b"content-encoding", b"gzip"))

    def odd_path(self) -> Hostile:
        path = self._path()
        odd = self.draw.choice(
            ("/..%2f..%2fetc/passwd", "//", "/%00", "?" + "q" * 9000, "/" + CANARY, "%ff%fe", "/.", "#x", "/" * 500)
        )
        return self._request("an odd path", path + odd, b'{"inputs": "x"}')
