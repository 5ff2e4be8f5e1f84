r"""Text -> tokens, one a timestep, each with its place in the text as it was sent.

Chinese is read by character, English by word ("don't" is ``do`` + ``n't`` and "It's" is ``It`` + ``'s``, as in the Penn
Treebank, so that raw and tokenised text meet). Tokens are cut from the raw text first and normalised one by one
afterwards: offsets are right by construction, whatever normalisation does to the length.

White space lies in no token; everything else lies in exactly one. A token has at most 64 code points, so that what a
stream has to read anew is bounded.

Source: Unicode NFKC (UAX #15); Penn Treebank tokenisation for the English clitics.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, overload

import regex

LONGEST_TOKEN = 64

# accents, variation selectors, joined emoji, skin tones
_MARKS = r"(?:\p{M}|\u200d[^\s\x1c-\x1f]|[\U0001F3FB-\U0001F3FF]){0,31}"
_VISIBLE = r"[^\s\x1c-\x1f]"  # str.isspace counts these four separators too
_JOINS = regex.compile(r"[\p{M}\u200d\U0001F1E6-\U0001F1FF\U0001F3FB-\U0001F3FF]")  # where a token may be longer than 1
_CHARACTER = regex.compile(rf"[\U0001F1E6-\U0001F1FF]{{2}}|{_VISIBLE}{_MARKS}")

_LETTER = r"[\p{L}\p{N}--\p{Han}]"
_INSIDE = r"[\p{L}\p{N}\p{M}--\p{Han}]"
_END = rf"(?:(?!{_LETTER})|(?=[nN]['’][tT]))"  # n't is cut off, so what stands before it ends there
_WORD = regex.compile(
    rf"""
      (?:[\p{{L}}--\p{{Han}}]\.){{2,8}}                                      # U.S.
    | \p{{N}}{{1,24}}(?:[.,:/-]\p{{N}}{{1,9}}){{0,4}}{_END}                  # 12,000  1996-08-22  3-2
    | {_LETTER}{_INSIDE}{{0,31}}(?:[-&_'’]{_INSIDE}{{1,15}}){{0,2}}         # well-made  O'Brien  don't
    | ['’](?:s|m|d|re|ve|ll|S|M|D|RE|VE|LL){_END}                          # 's, where the text is tokenised already
    | [\U0001F1E6-\U0001F1FF]{{2}}                                          # a flag is two letters
    | {_VISIBLE}{_MARKS}
    """,
    regex.VERBOSE | regex.V1,
)
_CLITIC = regex.compile(r"(?:(?<=[\p{L}\p{N}\p{M}])n['’]t|['’](?:s|m|d|re|ve|ll))$", regex.IGNORECASE)
_DIGIT = regex.compile(r"\p{Nd}")


class Token(NamedTuple):
    """One timestep's text.

    ``text == raw[start:end]`` in code points; ``form`` is what the vocabulary is asked for.
    """

    text: str
    start: int
    end: int
    form: str


class Tokens(Sequence[Token]):
    """The tokens of one text, column by column: a prediction needs their forms alone, and most are never looked at.

    text: the whole; starts, ends and forms: one entry a token.
    """

    __slots__ = ("ends", "forms", "starts", "text")

    def __init__(self, text: str, starts: Sequence[int], ends: Sequence[int], forms: Sequence[str]) -> None:
        self.text, self.starts, self.ends, self.forms = text, starts, ends, forms

    def __len__(self) -> int:
        return len(self.forms)

    @overload
    def __getitem__(self, at: int) -> Token: ...
    @overload
    def __getitem__(self, at: slice) -> "Tokens": ...
    def __getitem__(self, at: int | slice) -> "Token | Tokens":
        if isinstance(at, slice):
            return Tokens(self.text, self.starts[at], self.ends[at], self.forms[at])
        start, end = self.starts[at], self.ends[at]
        return Token(self.text[start:end], start, end, self.forms[at])

    def __iter__(self) -> Iterator[Token]:
        for start, end, form in zip(self.starts, self.ends, self.forms, strict=True):
            yield Token(self.text[start:end], start, end, form)

    def only(self, places: Sequence[int]) -> "Tokens":
        """The tokens at these places, ascending; the text stays whole."""
        columns = (self.starts, self.ends, self.forms)
        starts, ends, forms = ([column[n] for n in places] for column in columns)
        return Tokens(self.text, starts, ends, forms)  # type: ignore[arg-type]  # mypy joins int and str


Tokenizer = Callable[[str], Tokens]


@lru_cache(maxsize=65536)
def _folded(text: str) -> str:
    """Full-width forms, ligatures and capitals folded away: ``Ａ`` -> ``a``."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).lower()


def _word_form(text: str) -> str:
    """As `_folded`; a curly apostrophe is straight and every digit is 0, for a year is a year."""
    if text.isascii() and text.isalpha():
        return text.lower()
    return str(_DIGIT.sub("0", _folded(text))).replace("’", "'")


@lru_cache(maxsize=65536)
def _form_alone(character: str) -> str | None:
    """A character's form; empty for white space, None where its neighbours decide what token it lies in."""
    if _JOINS.match(character):
        return None
    return "" if character.isspace() else _folded(character)


def characters(text: str) -> Tokens:
    """``"我想吃汉堡"`` -> five tokens; an accent or a joined emoji stays with its base character."""
    forms = list(map(_form_alone, text))
    if None in forms:
        matches = list(_CHARACTER.finditer(text))
        starts, ends = [m.start() for m in matches], [m.end() for m in matches]
        return Tokens(text, starts, ends, [_folded(m[0]) for m in matches])
    if all(forms):
        return Tokens(text, range(len(text)), range(1, len(text) + 1), forms)  # type: ignore[arg-type]  # none is None
    starts = [i for i, form in enumerate(forms) if form]
    return Tokens(text, starts, [i + 1 for i in starts], [form for form in forms if form])


def words(text: str) -> Tokens:
    """``"It's good."`` -> ``It``, ``'s``, ``good``, ``.``; Chinese characters inside stand alone."""
    starts, ends, forms = [], [], []
    for m in _WORD.finditer(text):
        start = m.start()
        for piece in _without_clitics(m[0]):
            starts.append(start)
            forms.append(_word_form(piece))
            start += len(piece)
            ends.append(start)
    return Tokens(text, starts, ends, forms)


def _without_clitics(word: str) -> list[str]:
    """``can't've`` -> ``ca``, ``n't``, ``'ve``"""
    clitics: list[str] = []
    while ("'" in word or "’" in word) and (found := _CLITIC.search(word)) and found.start() > 0:
        clitics.append(found[0])
        word = word[: found.start()]
    return [word, *reversed(clitics)]


TOKENIZERS: dict[str, Tokenizer] = {"characters": characters, "words": words}
