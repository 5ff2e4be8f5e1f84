"""A text fed in any chunks is cut into the tokens of the whole, and what has to be kept of it is bounded."""

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.text.chunks import KINDS, LONGEST_TAIL, Position, read_chunk
from models.text.tokenizers import _KINDS, READINGS, TOKENIZERS
from models.text.tokens import Token

# whatever a token can be made of, and what decides behind it how far it goes
PIECES = [
    *("a", "n", "'", "’", "t", "N", "T", "s", "S", "x" * 30, "y" * 13, "1", "23", ",", ".", "-", "/", ":", "&", "#"),
    *("39", ";", "amp", "@", "_", "www.", "http://", "https", "://", ".com", "<", "/", "b", ">", '"', "!", "?", "can"),
    *("do", "nt", "n't", "'ve", "-LRB-", "-lr", "U.", "S.", "ﬁ", "Ａ", "½", "*", "•", "z.", "中", "国", "—", "……"),
    *("😀", "👨", "\u200d", "👩", "\U0001f3fb", "\ufe0f", "\u20e3", "🇨", "🇳", "\u0301", "\u00ad", "\u2060", "\u200b"),
    *("\x00", "\x1c", " ", "\n", "\r", "\r\n", "\u2028", "\u3000", "\t", "\v", "\x85", "\ud83d", "\ude00"),
    *(" " * 20, "!" * 40, "\u0301" * 20, "\U0001f3fb" * 10, "\u200d中" * 9, "\n" * 3, "a@b.c"),
]
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=25).map("".join)


def utf16(text: str) -> list[str]:
    """The UTF-16 units of a text, lone surrogates among them."""
    raw = text.encode("utf-16-le", "surrogatepass")
    return [chr(int.from_bytes(raw[i : i + 2], "little")) for i in range(0, len(raw), 2)]


def joined(units: list[str]) -> str:
    """The text of these units: a pair is one character, as in every text that was sent as JSON."""
    return "".join(units).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def whole_tokens(reading: str, text: str) -> list[Token]:
    complete = text[:-1] if "\ud800" <= text[-1:] <= "\udbff" else text  # half a pair at the end is no character yet
    return list(TOKENIZERS[reading](complete))


@pytest.mark.parametrize("reading", READINGS)
@settings(max_examples=300, deadline=None)
@given(text=TEXTS, cuts=st.lists(st.integers(0, 400), max_size=12), one_by_one=st.booleans())
@example("it 12n't A&#39;b <b a> U.S. www.a.com. 3,0 x", [], True)
@example("a" + "\u00ad" * 40 + "b", [], True)
@example("\r\n \r\n\r\r\nz", [], True)
@example("a   \r" + " " * 300 + "\nb", [], True)
@example("<a" + " " * 90 + ">b", [60, 62, 64], False)
@example("1234567890" * 12, [], True)
def test_any_chunks_give_the_tokens_of_the_whole(reading: str, text: str, cuts: list[int], one_by_one: bool) -> None:
    units = utf16(text)
    places = range(1, len(units)) if one_by_one else sorted(cut % (len(units) + 1) for cut in cuts)
    position, settled = Position(), []
    for start, end in zip([0, *places], [*places, len(units)], strict=True):
        chunk = read_chunk(READINGS[reading], position, joined(units[start:end]))
        fed = joined(units[:end])
        new = list(chunk.tokens)[chunk.context :]
        read = settled + [t._replace(start=t.start + chunk.origin, end=t.end + chunk.origin) for t in new]
        assert read == whole_tokens(reading, fed)
        position, settled = chunk.position, read[: len(settled) + chunk.settled]
        assert position.offset + len(position.tail) == len(fed)
        assert position.utf16 == len(utf16(fed[: position.offset]))
        assert len(position.tail) <= LONGEST_TAIL
        assert len(position.gap) <= 3
        assert len(position.left) <= 64


@pytest.mark.parametrize("reading", READINGS)
@given(text=TEXTS)
def test_a_settled_token_has_a_kind_that_a_position_can_name(reading: str, text: str) -> None:
    assert READINGS[reading].settling(text + " . ", 0)[1].kind in KINDS
    assert set(_KINDS) <= set(KINDS)


def test_no_character_is_white_space_to_one_part_and_visible_to_another() -> None:
    """The tail's white space is found by str.isspace, the readings' by their patterns."""
    for code in range(0x3100):
        character = chr(code)
        if unicodedata.category(character) != "Cs":
            assert bool(len(TOKENIZERS["words"](character))) != character.isspace(), hex(code)
            assert bool(len(TOKENIZERS["mixed"](character))) != character.isspace(), hex(code)


def test_a_long_stream_keeps_as_much_as_a_short_one() -> None:
    position = Position()
    for chunk in ("word", " " * 5000, "\n" * 5000, "x" * 5000, "!" * 5000, "\u0301" * 5000, "<a" + "b c" * 2000):
        position = read_chunk(READINGS["mixed"], position, chunk).position
        assert len(position.left + position.gap + position.tail) <= 64 + 3 + LONGEST_TAIL
