"""All that a stream carries from chunk to chunk, and its fixed layout in bytes.

The layout has a size that the model alone decides: texts are padded to their longest, windows to theirs. It holds plain
numbers and UTF-8, little-endian, and nothing in it is ever run.
"""

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import NotStreamable
from ..text.chunks import KINDS, LONGEST_TAIL, Position
from ..text.tokenizers import LONGEST_TOKEN
from .filtering import MOST_CHARACTERS, Excerpt, TagWindow
from .prediction import Array
from .predictor import Predictor

MOST_BYTES = 48_000  # so that a sealed state stays under 64 KB as text
_COUNTS = struct.Struct("<qqqqHBHHB")  # offset, utf16, timestep, known; bytes of left, gap, tail and excerpt's; kind
_WINDOW = struct.Struct("<BB")  # tokens of the window; whether a column stands before it
_MOST_WINDOW, _LEAST_WINDOW = 32, 8  # tokens
_GAP_CHARACTERS = 3


class StreamState(NamedTuple):
    """A stream after its settled tokens.

    timestep: how many those are; known: of them in the vocabulary, as `Prepared.known_fraction` counts; hidden and
    cell: float32 [layer, unit], cell None for an RNN; total and peak: float32 [unit], sum and maximum of the top
    layer's states, of a pooled classifier; window: of a tagger.
    """

    position: Position
    timestep: int
    known: int
    hidden: Array
    cell: Array | None
    total: Array | None
    peak: Array | None
    window: TagWindow | None


class Layout:
    """StreamState <-> bytes, for one model."""

    def __init__(self, predictor: Predictor) -> None:
        """Raises: NotStreamable, for a model that reads both directions, or whose state is too large."""
        m = predictor.checkpoint.manifest
        if m.directions != ("forward",):
            raise NotStreamable(m.name, "reads both directions, and a stream has no end to read back from")
        self.shape = (m.layers, m.units)
        self.tags = len(predictor.checkpoint.tags) if predictor.is_tagger else 0
        self.is_pooled = not self.tags and m.reads == "mean_max"
        self.has_cell = m.cell == "lstm"
        states = m.layers * (1 + self.has_cell) + 2 * self.is_pooled
        self.texts = (4 * LONGEST_TOKEN, 4 * _GAP_CHARACTERS, 4 * LONGEST_TAIL, 4 * MOST_CHARACTERS if self.tags else 0)
        fixed = (
            _COUNTS.size
            + sum(self.texts)
            + 4 * states * m.units
            + (_WINDOW.size + 16 + 12 * self.tags if self.tags else 0)
        )
        per_token = 4 + 4 * self.tags
        self.window = min(_MOST_WINDOW, (MOST_BYTES - fixed) // per_token) if self.tags else 0
        if fixed > MOST_BYTES or (self.tags and self.window < _LEAST_WINDOW):
            raise NotStreamable(m.name, f"has a state of {fixed} bytes, and at most {MOST_BYTES} travel")
        self.size = fixed + self.window * per_token

    def begin(self, window: TagWindow | None) -> StreamState:
        """The state before a text."""
        units = self.shape[1]
        return StreamState(
            Position(),
            0,
            0,
            np.zeros(self.shape, np.float32),
            np.zeros(self.shape, np.float32) if self.has_cell else None,
            np.zeros(units, np.float32) if self.is_pooled else None,
            np.full(units, -np.inf, np.float32) if self.is_pooled else None,
            window,
        )

    def pack(self, state: StreamState) -> bytes:
        """`size` bytes."""
        p, window = state.position, state.window
        excerpt = window.excerpt.text if window else ""
        texts = [t.encode("utf-8", "surrogatepass") for t in (p.left, p.gap, p.tail, excerpt)]
        left, gap, tail, shown = map(len, texts)
        counts = _COUNTS.pack(
            p.offset, p.utf16, state.timestep, state.known, left, gap, tail, shown, KINDS.index(p.kind)
        )
        parts = [counts, *(t.ljust(size, b"\0") for t, size in zip(texts, self.texts, strict=True))]
        parts += [x.tobytes() for x in (state.hidden, state.cell, state.total, state.peak) if x is not None]
        return b"".join([*parts, *(self._packed_window(window) if window else ())])

    def _packed_window(self, window: TagWindow) -> Sequence[bytes]:
        count, base = len(window.starts), window.excerpt.offset
        places = np.zeros((self.window, 2), np.uint16)
        places[:count] = np.array([window.starts, window.ends]).T - base if count else 0
        emissions = np.zeros((self.window, self.tags), np.float32)
        emissions[:count] = window.emissions
        best = np.zeros(self.tags, np.float32) if window.best is None else window.best
        alpha = np.zeros(self.tags) if window.alpha is None else window.alpha
        head = _WINDOW.pack(count, window.best is not None)
        offsets = struct.pack("<qq", base, window.excerpt.utf16)
        return head, offsets, alpha.tobytes(), best.tobytes(), places.tobytes(), emissions.tobytes()

    def unpack(self, raw: bytes) -> StreamState:
        """What `pack` made.

        Raises: ValueError where the bytes are no state of this model.
        """
        if len(raw) != self.size:
            raise ValueError(f"{len(raw)} bytes, a state of this model has {self.size}")
        reader = _Reader(raw)
        offset, utf16, timestep, known, *lengths, kind = reader.fields(_COUNTS)
        texts = [reader.text(size, length) for size, length in zip(self.texts, lengths, strict=True)]
        left, gap, tail, excerpt = texts
        units = self.shape[1:]
        return StreamState(
            Position(offset, utf16, left, KINDS[kind], gap, tail),
            timestep,
            known,
            reader.numbers(self.shape),
            reader.numbers(self.shape) if self.has_cell else None,
            reader.numbers(units) if self.is_pooled else None,
            reader.numbers(units) if self.is_pooled else None,
            self._window(reader, excerpt) if self.tags else None,
        )

    def _window(self, reader: "_Reader", excerpt: str) -> TagWindow:
        count, has_column = reader.fields(_WINDOW)
        base, utf16 = reader.fields(struct.Struct("<qq"))
        alpha, best = reader.numbers((self.tags,), np.float64), reader.numbers((self.tags,))
        places = reader.numbers((self.window, 2), np.uint16)[:count].astype(np.int64) + base
        emissions = reader.numbers((self.window, self.tags))[:count]
        return TagWindow(
            Excerpt(excerpt, base, utf16),
            places[:, 0].tolist(),
            places[:, 1].tolist(),
            emissions,
            best if has_column else None,
            alpha if has_column else None,
        )


class _Reader:
    """Reads one part after another."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.place = raw, 0

    def fields(self, layout: struct.Struct) -> tuple[int, ...]:
        found = layout.unpack_from(self.raw, self.place)
        self.place += layout.size
        return found

    def text(self, size: int, length: int) -> str:
        start = self.place
        self.place += size
        return self.raw[start : start + length].decode("utf-8", "surrogatepass")

    def numbers(self, shape: Sequence[int], kind: type = np.float32) -> NDArray[Any]:
        count = int(np.prod(shape))
        found: NDArray[Any] = np.frombuffer(self.raw, kind, count, self.place).reshape(shape)
        self.place += found.nbytes
        return found
