r"""Text -> tokens, one a timestep, each with its place in the text as it was sent.

``mixed`` reads Chinese by character and everything else by word, whatever the language of the model. What people type
stands in it as one token each: a web or mail address, an @handle, a #tag, a mark-up tag, an emoji, a run of one mark.
``characters`` and ``words`` are the readings of older models: every character alone, and words without those kinds.

"don't" is ``do`` + ``n't`` and "It's" is ``It`` + ``'s``, as in the Penn Treebank, so that raw and tokenised text meet.
Tokens are cut from the raw text first and folded one by one afterwards: offsets are right by construction, whatever
folding does to the length. No token's form, spelling or gap depends on what follows the token.

White space lies in no token, but within a mark-up tag; everything else lies in exactly one. A token has at most 64 code
points, so that what a stream has to read anew is bounded.

Source: Unicode NFKC (UAX #15); Penn Treebank tokenisation for the English clitics.
"""

import html
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import regex

from .folding import fold
from .tokens import BLANK, EMPTY_LINE, JOINED, LINE_BREAK, Tokens

LONGEST_TOKEN = 64
_LOOKED_AT = LONGEST_TOKEN + 8  # code points from a token's start that decide how far it goes
Tokenizer = Callable[[str], Tokens]

# accents, variation selectors, joined emoji, skin tones
_MARKS = r"(?:\p{M}|\u200d[^\s\x1c-\x1f]|[\U0001F3FB-\U0001F3FF]){0,31}"
_VISIBLE = r"[^\s\x1c-\x1f]"  # str.isspace counts these four separators too
_FLAG = r"[\U0001F1E6-\U0001F1FF]{2}"
_JOINS = regex.compile(r"[\p{M}\u200d\U0001F1E6-\U0001F1FF\U0001F3FB-\U0001F3FF]")  # where a token may be longer than 1
_CHARACTER = regex.compile(rf"{_FLAG}|{_VISIBLE}{_MARKS}")

_LETTER = r"[\p{L}\p{N}--\p{Han}]"
_INSIDE = r"[\p{L}\p{N}\p{M}--\p{Han}]"
_CLITICS = "(?:s|m|d|re|ve|ll|S|M|D|RE|VE|LL)"
_DIGIT = regex.compile(r"\p{Nd}")


def _word_pattern(apostrophe: str, inside: str, joint: str = "[-&_]", hyphens: str = "-") -> str:
    """Abbreviations, numbers, words and clitics.

    apostrophe: a class of characters; inside: what a word goes on with; joint: what joins two of its parts; hyphens:
    what joins two numbers.
    """
    end = rf"(?:(?!{_LETTER})|(?=[nN]{apostrophe}[tT]))"  # n't is cut off, so what stands before it ends there
    return rf"""
      (?:[\p{{L}}--\p{{Han}}]\.){{2,8}}                                           # U.S.
    | \p{{N}}{{1,24}}(?:[.,:/{hyphens}]\p{{N}}{{1,9}}){{0,4}}{end}                        # 12,000  1996-08-22  3-2
    | {_LETTER}{inside}{{0,31}}(?:(?:{joint}|{apostrophe}){_INSIDE}{{1,15}}){{0,2}}  # well-made  O'Brien  don't
    | {apostrophe}{_CLITICS}{end}                                                 # 's, where the text is tokenised
    """


def _clitic_pattern(apostrophe: str) -> str:
    return rf"(?:(?<=[\p{{L}}\p{{N}}\p{{M}}])n{apostrophe}t|{apostrophe}{_CLITICS})$"


def _compiled(pattern: str) -> Any:
    return regex.compile(pattern, regex.VERBOSE | regex.V1)


# What people type, in the order in which it is looked for: the kind of token and how it is written.
_BULLETS = "•‣●○■□◆◇▪▫▶►✓✔©®™"  # Unicode counts some among the pictures; a reader takes them for marks
_KINDS = {
    "url": r"""(?i:https?://|www\.)[^\s<>"'\p{Han}\p{Ps}\p{Pe}，。！？；：、“”‘’…]{1,56}(?<![.,;:!?*_~])""",
    "email": r"[A-Za-z0-9][A-Za-z0-9._+-]{0,22}@[A-Za-z0-9-]{1,20}(?:\.[A-Za-z0-9-]{2,9}){1,2}",
    "handle": r"(?<![[\p{L}\p{N}_@]--\p{Han}])@[A-Za-z0-9_]{1,30}",
    "hashtag": r"(?<![[\p{L}\p{N}_&]--\p{Han}])\#[\p{L}--\p{Han}][[\p{L}\p{N}_]--\p{Han}]{0,40}",
    "markup": r"</?[A-Za-z][^<>\n]{0,60}>",
    "escape": r"(?:&(?:[a-z]{2,6}|\#[0-9]{1,5});|-[LlRr][RrCcSs][Bb]-)",  # of mark-up, and the Penn Treebank's brackets
    "emoji": rf"(?:{_FLAG}|[0-9\#*]\uFE0F?\u20E3|[\p{{Extended_Pictographic}}--[{_BULLETS}]]{_MARKS})",
    "format": r"[[\p{Cf}\p{Cc}]--[\s\x1c-\x1f]]{1,32}",
}
KIND_FORMS = frozenset(f"<{kind}>" for kind in ("url", "email", "handle", "markup", "emoji", "format", "symbol"))
OUTSIDE = KIND_FORMS - {"<symbol>"}  # forms of what is part of no entity

_APOSTROPHE = "['’‘ʼ＇′`]"
_BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "-lcb-": "{", "-rcb-": "}"}
_HYPHENS = "‐‑‒–-"
_JOINERS = r"\u00AD\u200C\u200D\u2060"  # soft hyphens and the like: inside a word they are part of it
_RUN = r"(?P<run>(?P<mark>[\p{P}\p{S}])(?P=mark){1,63})"
_MIXED = _compiled(
    rf"\p{{Han}}{_MARKS}|"
    + "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _KINDS.items())
    + "|"
    + _word_pattern(
        _APOSTROPHE, rf"(?:{_INSIDE}|[{_JOINERS}](?={_INSIDE}))", rf"(?:[_{_HYPHENS}]|&(?!\#?\w{{2,6}};))", _HYPHENS
    )
    + f"|{_RUN}|{_VISIBLE}{_MARKS}"
)
_JOINER = regex.compile(f"[{_JOINERS}]")
_NEGATED = "do|does|did|ca|could|wo|would|should|is|are|was|were|has|have|had|ai|must|need"
_LINE_BREAK = regex.compile(r"\r\n|[\n\r\v\f\x85\u2028]")


@dataclass(frozen=True)
class Reading:
    """How one way of reading cuts and folds.

    clitic: what is cut off a word's end, again and again; fold: (text, kind) -> (form, spelling).
    """

    pattern: Any
    clitic: Any
    fold: Callable[[str, str | None], tuple[str, str]]
    knows_lines: bool

    def tokens(self, text: str) -> Tokens:
        return self._cut(text, self.pattern.finditer(text))

    def settling(self, text: str, first: int) -> tuple[Tokens, "Settled"]:
        """The tokens from offset `first` on, where a token has to begin, and which of them stay, whatever follows.

        What stands before `first` is looked at alone. regex's partial matching tells whether a pattern looked past the
        text's end: a match that never did stays. A text's end is looked at by the last 68 code points at most, for no
        token and what is looked at behind it is longer.
        """
        matches = list(self.pattern.finditer(text, first))
        stays = 0
        for match in matches:
            start = match.start()
            if len(text) - start <= _LOOKED_AT and self.pattern.fullmatch(text, start, partial=True):
                break
            stays += 1
        tokens = self._cut(text, matches)
        if not stays:
            return tokens, Settled(0, first, "", None)
        last = matches[stays - 1]
        word, kind, end = last[0], last.lastgroup, last.end()
        pieces = [word] if kind or len(word) < 3 else self._without_clitics(word)
        count = len(tokens) if stays == len(matches) else bisect_left(tokens.starts, end)
        return tokens, Settled(count, end, pieces[-1], kind if len(pieces) == 1 else "clitic")

    def _cut(self, text: str, matches: Iterable[Any]) -> Tokens:
        starts, ends, forms, spellings = [], [], [], []
        for match in matches:
            word, start, kind = match[0], match.start(), match.lastgroup
            for piece in (word,) if kind or len(word) < 3 else self._without_clitics(word):
                form, spelling = self.fold(piece, kind)
                kind = "clitic"
                starts.append(start)
                start += len(piece)
                ends.append(start)
                forms.append(form)
                spellings.append(spelling)
        if not self.knows_lines:
            return Tokens(text, starts, ends, forms)
        return Tokens(text, starts, ends, forms, spellings, gaps(text, starts, ends))

    def _without_clitics(self, word: str) -> list[str]:
        """``can't've`` -> ``ca``, ``n't``, ``'ve``"""
        clitics: list[str] = []
        while (found := self.clitic.search(word)) and found.start() > 0:
            clitics.append(found[0])
            word = word[: found.start()]
        return [word, *reversed(clitics)]


class Settled(NamedTuple):
    """tokens: how many stay; where they end; the text and the kind of the last of them, "" where there is none."""

    tokens: int
    end: int
    text: str
    kind: str | None


def gaps(text: str, starts: Sequence[int], ends: Sequence[int]) -> list[int]:
    """What stands before each token: `JOINED`, `BLANK`, `LINE_BREAK` or `EMPTY_LINE`."""
    if len(starts) < 2:
        return [EMPTY_LINE] * len(starts)
    found = [EMPTY_LINE, *([JOINED] * (len(starts) - 1))]
    for t in range(1, len(starts)):
        end, start = ends[t - 1], starts[t]
        if start > end:
            breaks = len(_LINE_BREAK.findall(text, end, start)) if text[end:start] not in (" ", "\u3000") else 0
            found[t] = (BLANK, LINE_BREAK, EMPTY_LINE)[min(breaks, 2)]
    return found


@lru_cache(maxsize=65536)
def _folded(text: str) -> str:
    """Full-width forms, ligatures and capitals folded away: ``Ａ`` -> ``a``."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).lower()


def _word_form(text: str, kind: str | None = None) -> tuple[str, str]:
    """As `_folded`; a curly apostrophe is straight and every digit is 0, for a year is a year."""
    if text.isascii() and text.isalpha():
        return text.lower(), text
    return str(_DIGIT.sub("0", _folded(text))).replace("’", "'"), text


@lru_cache(maxsize=65536)
def _mixed_form(text: str, kind: str | None) -> tuple[str, str]:
    """The form and the spelling of a token of ``mixed``.

    A kind has one form for all that is of it; a run is its mark twice, however long it is.
    """
    if f"<{kind}>" in OUTSIDE:
        return f"<{kind}>", f"<{kind}>"
    if kind == "escape":
        plain = _BRACKETS.get(text.lower(), html.unescape(text)).strip()
        return _mixed_form(plain, None) if plain and plain != text else ("<markup>", "<markup>")
    spelling = fold(_JOINER.sub("", text)) or text
    if kind == "run":
        spelling = spelling[0] * 2 if spelling[0] != "'" else '"'
    elif len(text) == 1 and spelling == text and unicodedata.category(text) in ("So", "Co", "Cn", "Cs"):
        return "<symbol>", "<symbol>"
    if kind == "clitic" and spelling.lower() == "nt":  # of dont and cant
        return "n't", spelling
    return str(_DIGIT.sub("0", spelling.lower())), spelling


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


_WORDS = Reading(
    _compiled(_word_pattern("['’]", _INSIDE) + f"|{_FLAG}|{_VISIBLE}{_MARKS}"),
    regex.compile(_clitic_pattern("['’]"), regex.IGNORECASE),
    _word_form,
    knows_lines=False,
)
_MIXED_READING = Reading(
    _MIXED,
    regex.compile(rf"{_clitic_pattern(_APOSTROPHE)}|(?<=^(?:{_NEGATED}))nt$", regex.IGNORECASE),
    _mixed_form,
    knows_lines=True,
)


def words(text: str) -> Tokens:
    """``"It's good."`` -> ``It``, ``'s``, ``good``, ``.``; Chinese characters inside stand alone."""
    return _WORDS.tokens(text)


def mixed(text: str) -> Tokens:
    """``"去www.a.cn看Lily!!!"`` -> ``去``, ``www.a.cn``, ``看``, ``Lily``, ``!!!``."""
    return _MIXED_READING.tokens(text)


TOKENIZERS: dict[str, Tokenizer] = {"characters": characters, "words": words, "mixed": mixed}

_NEVER = regex.compile("(?!)")
_CHARACTER_READING = Reading(_CHARACTER, _NEVER, lambda text, kind: (_folded(text), text), knows_lines=False)
READINGS: dict[str, Reading] = {"characters": _CHARACTER_READING, "words": _WORDS, "mixed": _MIXED_READING}
