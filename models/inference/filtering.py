r"""Entities of a text that is still arriving: the best path of what was read so far, and which part of it is settled.

The columns of Viterbi (1967) and of the forward sums are carried from token to token, so the path, the entities and
their scores are those of the text so far read whole. Where the surviving paths to the last token have all come through
one tag, no later token changes what stands before it: an entity that ends there is *final*. It is given once more as
final and then forgotten, so what is kept is a short window of tokens that are still open.

The window is bounded. Past its bound the oldest tokens are settled by the best path, which a whole reading might still
have changed: an entity longer than the window is given in parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..network.crf import LinearChain, TextLattice
from ..network.spans import Span, to_spans
from ..text.chunks import utf16_units
from .prediction import Array, Entity

MOST_CHARACTERS = 256  # code points of a window
_HOPELESS = 5000.0  # a path so far behind has a forbidden step in it, which no later token makes up for
_LARGE = 32768.0  # beyond it float32 has two decimals left: a column then counts from its best tag, as no path minds

Column = NDArray[np.float64]


@dataclass(frozen=True)
class StreamEntity(Entity):
    """final: no later token changes it. Offsets count from the beginning of the whole text."""

    final: bool = False


class Excerpt(NamedTuple):
    """A part of the whole text. offset and utf16: the code points and UTF-16 units before it."""

    text: str
    offset: int
    utf16: int

    def between(self, start: int, end: int) -> str:
        """The text from start to end, which count from the beginning of the whole text."""
        return self.text[start - self.offset : end - self.offset]

    def utf16_place(self, place: int) -> int:
        """A place of the whole text in UTF-16 units."""
        return self.utf16 + utf16_units(self.between(self.offset, place))

    def since(self, start: int, end: int) -> "Excerpt":
        return Excerpt(self.between(start, end), start, self.utf16_place(start))


@dataclass(frozen=True)
class TagWindow:
    """The tokens that are still open.

    excerpt: the text from the first of them to the tail; starts and ends: of each, in the whole text; emissions float32
    [token, tag], barred tags forbidden; best float32 [tag] and alpha float64 [tag]: the columns of Viterbi and of the
    forward sums before the first of them, None at the beginning of the text.
    """

    excerpt: Excerpt
    starts: Sequence[int]
    ends: Sequence[int]
    emissions: Array = field(repr=False)
    best: Array | None = field(repr=False)
    alpha: Column | None = field(repr=False)


@dataclass(frozen=True)
class TaggedTokens:
    """Tokens to read: starts and ends in the whole text, emissions [token, tag] with barred tags forbidden."""

    starts: Sequence[int]
    ends: Sequence[int]
    emissions: Array

    def __getitem__(self, part: slice) -> "TaggedTokens":
        return TaggedTokens(self.starts[part], self.ends[part], self.emissions[part])


class Reading:
    """The tokens that one stream reads next, after those of its window. emissions: of both, [token, tag]."""

    def __init__(self, window: TagWindow, tokens: TaggedTokens) -> None:
        self.window, self.tokens = window, tokens
        self.emissions: Array = np.concatenate([window.emissions, tokens.emissions])


@dataclass(frozen=True)
class Columns:
    """Of every token of the window and those read now: best float32, origin int and alpha float64, [token, tag]."""

    best: Array
    origin: NDArray[np.int64]
    alpha: Column


class TagFilter:
    """One CRF, on the host."""

    def __init__(self, crf: LinearChain, tags: Sequence[str], most_tokens: int) -> None:
        """most_tokens: of a window."""
        self.tags, self.most_tokens = tuple(tags), most_tokens
        self.transitions, self.start, self.end = (
            x.detach().cpu().numpy() for x in (crf.transitions, crf.start, crf.end)
        )
        self.wide_transitions = self.transitions.astype(np.float64)

    def begin(self) -> TagWindow:
        return TagWindow(Excerpt("", 0, 0), (), (), np.zeros((0, len(self.tags)), np.float32), None, None)

    def read(
        self, reading: Reading, columns: Columns, excerpt: Excerpt, settled: int, settled_end: int
    ) -> tuple[list[StreamEntity], TagWindow]:
        """The entities that were not final before these tokens, and the window after those that are settled.

        Args: columns, of the reading; excerpt, the text from the window's first token on, all tokens within it;
              settled, how many of the tokens stay, whatever follows; settled_end, where the tail begins in the whole
              text.
        """
        window, tokens, emissions = reading.window, reading.tokens, reading.emissions
        starts, ends = [*window.starts, *tokens.starts], [*window.ends, *tokens.ends]
        if not len(emissions):
            return [], TagWindow(excerpt.since(settled_end, settled_end), (), (), emissions, window.best, window.alpha)
        count = len(window.starts) + settled
        cut, forced = self._settled(columns, starts, count, settled_end)
        path = self._path(columns, len(emissions))
        spans = self._spans(path, cut)
        entities = []
        if spans:
            lattice = self._lattice(emissions, columns.alpha)
            for span in spans:
                begin, stop = starts[span.start], ends[span.stop - 1]
                inside = self.tags.index(f"I-{span.label}")
                score = lattice.span_probability(span.start, span.stop, path[span.start], inside)
                text = excerpt.between(begin, stop)
                entities.append(StreamEntity(span.label, text, begin, stop, score, span.stop <= cut))
        best, alpha = window.best, window.alpha
        if cut:
            best, alpha = columns.best[cut - 1].copy(), columns.alpha[cut - 1].copy()
            if best.max() > _LARGE:
                best -= best.max()
                alpha -= alpha.max()
            if forced:
                best[np.arange(len(best)) != path[cut - 1]] = -np.inf
        begin = starts[cut] if cut < count else settled_end
        return entities, TagWindow(
            excerpt.since(begin, settled_end), starts[cut:count], ends[cut:count], emissions[cut:count], best, alpha
        )

    def marginals(self, reading: Reading, columns: Columns) -> Column:
        """P(tag | what was read so far) of each token: [token, tag]."""
        lattice = self._lattice(reading.emissions, columns.alpha)
        return lattice.marginals()[len(reading.window.starts) :]

    def columns(self, readings: Sequence[Reading]) -> list[Columns]:
        """The columns of each stream, all streams a token at a time. A stream's are the same bits in any company."""
        order = sorted(range(len(readings)), key=lambda n: -len(readings[n].emissions))
        longest_first = [readings[n] for n in order]
        lengths = [len(reading.emissions) for reading in longest_first]
        shape = (len(readings), lengths[0], len(self.tags))
        emissions, best, alpha = np.zeros(shape, np.float32), np.empty(shape, np.float32), np.empty(shape)
        origin = np.zeros(shape, np.int64)
        for row, reading in zip(emissions, longest_first, strict=True):
            row[: len(reading.emissions)] = reading.emissions
        begins = [row for row, reading in enumerate(longest_first) if reading.window.best is None]
        before = [self._before(reading.window) for reading in longest_first]
        last_best, last_alpha = (np.stack(column) for column in zip(*before, strict=True))
        for t in range(lengths[0]):
            reads = sum(length > t for length in lengths)
            ahead = last_best[:reads, :, None] + self.transitions
            origin[:reads, t] = ahead.argmax(1)
            best[:reads, t] = ahead.max(1) + emissions[:reads, t]
            alpha[:reads, t] = _log_sum_exp(last_alpha[:reads, :, None] + self.wide_transitions) + emissions[:reads, t]
            if t == 0 and begins:
                origin[begins, 0] = 0
                best[begins, 0] = self.start + emissions[begins, 0]
                alpha[begins, 0] = self.start.astype(np.float64) + emissions[begins, 0]
            last_best, last_alpha = best[:, t], alpha[:, t]
        found = zip(order, best, origin, alpha, lengths, strict=True)
        by_stream = {n: Columns(b[:length], o[:length], a[:length]) for n, b, o, a, length in found}
        return [by_stream[n] for n in range(len(readings))]

    def _before(self, window: TagWindow) -> tuple[Array, Column]:
        """The columns before a window; at a text's beginning, where there are none, zeros."""
        if window.best is None or window.alpha is None:
            return np.zeros(len(self.tags), np.float32), np.zeros(len(self.tags))
        return window.best, window.alpha

    def _settled(self, columns: Columns, starts: Sequence[int], count: int, settled_end: int) -> tuple[int, bool]:
        """How many tokens leave the window, and whether that was forced by its bound."""
        agreed, path = self._agreed(columns, count)
        # an entity that ends at the last token agreed on may go on
        cut = to_spans(path)[-1].start if path and path[-1] != "O" else agreed
        at_least = max(0, count - self.most_tokens)
        while at_least < count and settled_end - starts[at_least] > MOST_CHARACTERS:
            at_least += 1
        return (cut, False) if cut >= at_least else (at_least, True)

    def _agreed(self, columns: Columns, count: int) -> tuple[int, list[str]]:
        """How many tokens every surviving path reads alike, and their tags."""
        if not count:
            return 0, []
        best, origin = columns.best[count - 1].tolist(), columns.origin.tolist()
        least = max(best) - _HOPELESS
        tags = {k for k, score in enumerate(best) if score > least}
        for t in range(count - 1, -1, -1):
            if len(tags) == 1:
                path = [*tags]
                for back in range(t, 0, -1):
                    path.append(origin[back][path[-1]])
                return t + 1, [self.tags[k] for k in reversed(path)]
            tags = {origin[t][k] for k in tags}
        return 0, []

    def _path(self, columns: Columns, count: int) -> list[int]:
        path = [int((columns.best[count - 1] + self.end).argmax())]
        for t in range(count - 1, 0, -1):
            path.append(int(columns.origin[t, path[-1]]))
        return path[::-1]

    def _spans(self, path: Sequence[int], cut: int) -> list[Span]:
        """The path's entities; one that crosses `cut`, as only a forced one does, is two."""
        tags = [self.tags[k] for k in path]
        if tags.count("O") == len(tags):
            return []
        after = [Span(span.label, span.start + cut, span.stop + cut) for span in to_spans(tags[cut:])]
        return [*to_spans(tags[:cut]), *after]

    def _lattice(self, emissions: Array, alpha: Column) -> TextLattice:
        wide, end = self.wide_transitions, self.end.astype(np.float64)
        scores = emissions.astype(np.float64)
        beta = np.empty_like(alpha)
        beta[-1] = end
        for t in range(len(scores) - 2, -1, -1):
            beta[t] = _log_sum_exp((wide + (scores[t + 1] + beta[t + 1])).T)
        return TextLattice(scores, wide, alpha, beta, float(_log_sum_exp((alpha[-1] + end)[:, None])[0]))


def _log_sum_exp(x: Column) -> Column:
    """Over the last axis but one."""
    peak = x.max(-2)
    out: Column = peak + np.log(np.exp(x - peak[..., None, :]).sum(-2))
    return out
