"""The tokens of one text: one a timestep, each with its place in the text as it was sent."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

# What stands before a token: its gap. A text begins as a paragraph does.
JOINED, BLANK, LINE_BREAK, EMPTY_LINE = 1, 2, 3, 4


class Token(NamedTuple):
    """One timestep's text.

    ``text == raw[start:end]`` in code points; ``form`` is what the vocabulary is asked for; ``spelling`` is what the
    hashed features read: the text, but for what the reading folds away.
    """

    text: str
    start: int
    end: int
    form: str
    spelling: str
    gap: int


class Tokens(Sequence[Token]):
    """The tokens of one text, column by column: a prediction needs their forms alone, and most are never looked at.

    text: the whole; starts, ends and forms: one entry a token; spellings and gaps: likewise, or None in a reading that
    folds nothing and knows no lines: a spelling is then the text, a gap `JOINED`.
    """

    __slots__ = ("ends", "forms", "gaps", "spellings", "starts", "text")

    def __init__(
        self,
        text: str,
        starts: Sequence[int],
        ends: Sequence[int],
        forms: Sequence[str],
        spellings: Sequence[str] | None = None,
        gaps: Sequence[int] | None = None,
    ) -> None:
        self.text, self.starts, self.ends, self.forms = text, starts, ends, forms
        self.spellings, self.gaps = spellings, gaps

    def __len__(self) -> int:
        return len(self.forms)

    @property
    def spelled(self) -> Sequence[str]:
        """What the hashed features read of each."""
        if self.spellings is None:
            return [self.text[start:end] for start, end in zip(self.starts, self.ends, strict=True)]
        return self.spellings

    @overload
    def __getitem__(self, at: int) -> Token: ...
    @overload
    def __getitem__(self, at: slice) -> "Tokens": ...
    def __getitem__(self, at: int | slice) -> "Token | Tokens":
        if isinstance(at, slice):
            spellings, gaps = self.spellings and self.spellings[at], self.gaps and self.gaps[at]
            return Tokens(self.text, self.starts[at], self.ends[at], self.forms[at], spellings, gaps)
        start, end = self.starts[at], self.ends[at]
        text = self.text[start:end]
        spelling = self.spellings[at] if self.spellings else text
        return Token(text, start, end, self.forms[at], spelling, self.gaps[at] if self.gaps else JOINED)

    def __iter__(self) -> Iterator[Token]:
        return map(self.__getitem__, range(len(self)))

    def only(self, places: Sequence[int]) -> "Tokens":
        """The tokens at these places, ascending; the text stays whole, and a line begins where one began between."""
        starts, ends = [self.starts[n] for n in places], [self.ends[n] for n in places]
        forms = [self.forms[n] for n in places]
        spellings = [self.spellings[n] for n in places] if self.spellings else None
        gaps = None
        if self.gaps:
            firsts = [0, *(n + 1 for n in places)]  # of the tokens left out before each place, and itself
            gaps = [max(self.gaps[first : n + 1]) for first, n in zip(firsts, places, strict=False)]
        return Tokens(self.text, starts, ends, forms, spellings, gaps)
