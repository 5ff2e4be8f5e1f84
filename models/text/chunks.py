r"""A text that comes in chunks -> the tokens of the whole, chunk by chunk.

A chunk may end anywhere: within a word, a web address, a mark-up tag, a run of one mark, a line break, an emoji of
several code points or a surrogate pair. What later text could still change is the *tail*: it is read as it stands, and
read anew with the next chunk. Everything before it is settled, and of that only the last token and the white space
behind it are kept, since features and look-behinds see no further back. All of it is bounded, whatever the text.

White space is kept as what the readings see of it: nothing, a blank, a line break or an empty line, and whether its
last character is a carriage return, which a line feed still joins.
"""

from typing import NamedTuple

from .tokenizers import LONGEST_TOKEN, Reading, gaps
from .tokens import Tokens

LONGEST_TAIL = LONGEST_TOKEN + 8  # code points
# of a token: a stored position names them by number
KINDS = (None, "clitic", "run", "url", "email", "handle", "hashtag", "markup", "escape", "emoji", "format")


class Position(NamedTuple):
    """Where the reading of a text stands.

    offset, utf16: code points and UTF-16 units before the tail; left and kind: the last settled token's text and kind,
    "" before the first; gap: the white space between it and the tail, shortened; tail: what is not settled, perhaps
    with the first half of a surrogate pair at its end.
    """

    offset: int = 0
    utf16: int = 0
    left: str = ""
    kind: str | None = None
    gap: str = ""
    tail: str = ""


class Chunk(NamedTuple):
    """The tokens that a chunk brings, those of the tail before it included: the first `settled` of them stay.

    tokens: of a text that begins with the last token settled before, which is tokens[0] where `context` is 1; the
    text's code point 0 is the whole's `origin`. position: after the chunk; consumed: the text that left the tail.
    """

    tokens: Tokens
    context: int
    settled: int
    origin: int
    position: Position
    consumed: str
    text: str  # consumed, and the tail without half a pair


def read_chunk(reading: Reading, position: Position, chunk: str) -> Chunk:
    """Feed a chunk: `Chunk.position` is what the next one goes on from."""
    fed = _joined(position.tail, chunk)
    half = fed[-1:] if "\ud800" <= fed[-1:] <= "\udbff" else ""
    text = fed[: len(fed) - len(half)]
    before = position.left + position.gap
    window, first = before + text, len(before)
    tokens, settled = reading.settling(window, first)
    end = _after_white_space(window, settled.end)
    consumed = window[first:end]
    after = Position(
        position.offset + len(consumed),
        position.utf16 + utf16_units(consumed),
        settled.text or position.left,
        settled.kind if settled.text else position.kind,
        _shortened(window[settled.end : end] if settled.text else position.gap + consumed),
        window[end:] + half,
    )
    context = int(bool(position.left))
    if context:
        tokens = _with_left(reading, position, tokens, window)
    return Chunk(tokens, context, settled.tokens, position.offset - first, after, consumed, text)


def _joined(tail: str, chunk: str) -> str:
    """The tail and the chunk; two halves of a surrogate pair become the character that they stand for."""
    if chunk and "\ud800" <= tail[-1:] <= "\udbff" and "\udc00" <= chunk[0] <= "\udfff":
        pair = (tail[-1] + chunk[0]).encode("utf-16", "surrogatepass").decode("utf-16")
        return tail[:-1] + pair + chunk[1:]
    return tail + chunk


def utf16_units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _after_white_space(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start


def _shortened(gap: str) -> str:
    """White space with the same line breaks, two at most, in three characters at most."""
    if len(gap) < 2:
        return gap
    breaks, n = 0, 0
    while n < len(gap) and breaks < 2:
        if gap[n : n + 2] == "\r\n":
            n += 1
        breaks += gap[n] in "\n\r\v\f\x85\u2028"
        n += 1
    carriage = gap[-1] == "\r"
    if not breaks:
        return " "
    return "\n" * (breaks - carriage) + ("\r" if carriage else "")


def _with_left(reading: Reading, position: Position, tokens: Tokens, window: str) -> Tokens:
    """The tokens with the one that was settled before them, as their left neighbour."""
    form, spelling = reading.fold(position.left, position.kind)
    starts, ends = [0, *tokens.starts], [len(position.left), *tokens.ends]
    forms = [form, *tokens.forms]
    if tokens.gaps is None or tokens.spellings is None:
        return Tokens(window, starts, ends, forms)
    between = gaps(window, starts[:2], ends[:2])
    return Tokens(window, starts, ends, forms, [spelling, *tokens.spellings], [*between, *tokens.gaps[1:]])
