"""A chunk of a stream that is ready to run, and what it leads to."""

from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import NamedTuple

from ..text.chunks import Chunk
from ..text.features import TextIds
from ..text.tokens import Tokens
from .decoding import Scores
from .filtering import Excerpt, StreamEntity
from .inspection import Plan
from .prediction import Array, Inside
from .stream_state import StreamState


@dataclass(frozen=True)
class Turn:
    """A chunk that is ready to run.

    after: the answers wanted, those that follow so many of its tokens and more; None: the last alone.
    """

    state: StreamState
    chunk: Chunk
    tokens: Tokens
    ids: TextIds = field(repr=False)
    known: list[int] = field(repr=False)  # for each token 1 if the vocabulary has it, less 1 if it is of a kind
    plan: Plan | None = None
    after: int | None = None

    def __len__(self) -> int:
        return len(self.tokens.forms)

    def first_shown(self, read: int) -> int:
        """The first token that the answer after `read` of them shows: the last alone, or all where all have one."""
        return 0 if self.after is None else max(0, read - 1)

    def answering(self, after: int) -> "Turn":
        """The same with an answer after each token from the one at `after` on."""
        return replace(self, after=after)

    def unchanged(self, before: "Turn") -> int:
        """How many of the first tokens are read just as the turn before, of the same stream, has read them already."""
        pairs = zip(before.places()[before.chunk.settled :], self.places(), strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    def places(self) -> list[tuple[int, int, str, str]]:
        """Where each token stands in the whole text, and what the features read of it."""
        origin, tokens = self.chunk.origin, self.tokens
        spellings = tokens.spellings or tokens.forms
        return [
            (start + origin, end + origin, form, spelling)
            for start, end, form, spelling in zip(tokens.starts, tokens.ends, tokens.forms, spellings, strict=True)
        ]

    def known_fraction(self, read: int) -> float:
        """Of the text up to so many of the chunk's tokens, as `Prepared.known_fraction` counts."""
        return max(0, self.state.known + sum(self.known[:read])) / max(1, self.state.timestep + read)

    @property
    def wanted(self) -> slice:
        """The answers wanted among those before the chunk and after each of its tokens."""
        if self.after is not None:
            return slice(self.after + 1, None)
        return slice(len(self), None if self.state.timestep + len(self) else 0)


class Answer(NamedTuple):
    """What the text says up to a token.

    timestep: tokens up to here; scores: a classifier's, best first; entities: a tagger's that were not final before;
    inside: of the tokens `first` to timestep.
    """

    timestep: int
    known_fraction: float
    logits: Array
    scores: Scores | None = None
    entities: tuple[StreamEntity, ...] | None = None
    inside: Inside | None = None


class Step(NamedTuple):
    """The stream after a turn. answers: as asked for; none where the text has no token yet.

    excerpt: the text of the tokens read in this turn, and of a tagger's open ones before them.
    """

    state: StreamState
    turn: Turn
    answers: list[Answer]
    excerpt: Excerpt

    @property
    def timestep(self) -> int:
        """The tokens so far."""
        return self.turn.state.timestep + len(self.turn)
