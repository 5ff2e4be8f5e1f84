"""Offsets are right by construction, nothing said is left out, and raw and tokenised text meet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.text.features import affixes, bigram_forms, shape, subwords
from models.text.tokenizers import LONGEST_TOKEN, TOKENIZERS, characters, words

ODD = [
    "  前后空格  ",
    "emoji 😀👨‍👩‍👧 text",
    "ＦＵＬＬ　ｗｉｄｔｈ１２３",
    "a\u0301 combining",
    "\u0000nul",
    "混合 mixed 文字 text",
    "🇨🇳🇩🇪",
    "İstanbul ﬁne ½ Straße ㎏, London",
    "tab\tand\r\nlines\n\n北京",
    "\ud800 lone",
    "مرحبا בעולם",
    "x" * 500,
    "a" + "\u0301" * 300,
]
TEXT = st.text(alphabet=st.characters(), max_size=60) | st.text(alphabet="aB9'’-.,&n tsdo北京é\u0301 ", max_size=40)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@given(text=TEXT | st.sampled_from(ODD))
def test_tokens_are_cut_from_the_text_in_order_and_leave_nothing_said_out(tokenizer: str, text: str) -> None:
    end = 0
    said = set()
    for token in TOKENIZERS[tokenizer](text):
        assert token.start >= end
        assert 0 < len(token.text) <= LONGEST_TOKEN
        assert token.text == text[token.start : token.end]
        assert not token.text.isspace()
        end = token.end
        said.update(range(token.start, token.end))
    assert all(i in said for i, c in enumerate(text) if c.isalnum())


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("text", ["", " ", "\n\t\u3000\u2028"])
def test_white_space_alone_has_no_token(tokenizer: str, text: str) -> None:
    assert len(TOKENIZERS[tokenizer](text)) == 0


def test_chinese_is_read_by_character_and_marks_stay_with_their_base() -> None:
    assert [t.text for t in characters("我想吃汉堡")] == list("我想吃汉堡")
    assert [t.text for t in characters("a\u0301👍🏽👨‍👩‍👧 🇨🇳")] == ["a\u0301", "👍🏽", "👨‍👩‍👧", "🇨🇳"]
    assert [t.form for t in characters("Ａ１")] == ["a", "1"]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("don't", ["do", "n't"]),
        ("It's GOOD.", ["It", "'s", "GOOD", "."]),
        ("can't've", ["ca", "n't", "'ve"]),
        ("O'Brien isn’t here", ["O'Brien", "is", "n’t", "here"]),
        ("the U.S. won", ["the", "U.S.", "won"]),
        ("on 1996-08-22, 12,000 saw 3-2", ["on", "1996-08-22", ",", "12,000", "saw", "3-2"]),
        ("well-made", ["well-made"]),
        ("good,but", ["good", ",", "but"]),
        ("and/or", ["and", "/", "or"]),
        ("北京London", ["北", "京", "London"]),
    ],
)
def test_english_is_read_by_word(text: str, want: list[str]) -> None:
    assert [t.text for t in words(text)] == want


@pytest.mark.parametrize(
    ("raw", "tokenised"),
    [
        ("It's not bad, I don't mind.", "it 's not bad , i do n't mind ."),
        ("They’ll come; we’re in.", "they 'll come ; we 're in ."),
    ],
)
def test_raw_and_tokenised_text_have_the_same_forms(raw: str, tokenised: str) -> None:
    assert [t.form for t in words(raw)] == [t.form for t in words(tokenised)]


@given(
    st.lists(
        st.sampled_from(["don't", "it's", "a", "well-made", "3-2", "U.S.", "北", "!", "O'Brien", "x&y"]),
        min_size=1,
        max_size=6,
    )
)
def test_a_text_cut_between_words_has_the_tokens_of_its_part(parts: list[str]) -> None:
    """A forward-only model may be asked about any such prefix; within a word the cut word is read as it stands."""
    whole = words(" ".join(parts))
    for n in range(1, len(parts) + 1):
        part = words(" ".join(parts[:n]))
        assert [t.form for t in part] == [t.form for t in whole[: len(part)]]


@given(st.lists(st.sampled_from("我想吃汉堡abc1！"), min_size=1, max_size=12))
def test_no_feature_looks_ahead(parts: list[str]) -> None:
    tokens = characters("".join(parts))
    for n in range(1, len(tokens) + 1):
        assert list(bigram_forms(tokens[:n])) == list(bigram_forms(tokens))[:n]


@pytest.mark.parametrize("text", ["酒店 不错", "It's a well-made film, isn't it?", "a\u0301👍🏽 b"])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_tokens_are_a_sequence(tokenizer: str, text: str) -> None:
    tokens = TOKENIZERS[tokenizer](text)
    every = list(tokens)
    assert [tokens[n] for n in range(len(tokens))] == every
    assert tokens[-1] == every[-1]
    for n in range(len(every)):
        assert list(tokens[:n]) == every[:n]
        left = tokens.only([m for m in range(len(every)) if m != n])
        assert [token[:5] for token in left] == [token[:5] for token in every[:n] + every[n + 1 :]]
    with pytest.raises(IndexError):
        tokens[len(every)]


def test_pieces_of_a_word() -> None:
    (london,) = words("London")
    assert subwords(london)[:3] == ["<lo", "lon", "ond"]
    assert set(affixes(london)) >= {"L-", "Lon-", "-don", "-ndon"}
    assert [shape(t)[0] for t in words("McDonald-7 USA A 12")] == ["AaAa-0", "A", "A.", "0"]


def test_plain_characters_are_cut_as_the_pattern_cuts_them() -> None:
    """Every code point that joins to no other takes the short way, which has to give what the long one gives."""
    from models.text.tokenizers import _CHARACTER, _JOINS

    for code_point in range(0x110000):
        if not _JOINS.search(c := chr(code_point)):
            assert [(t.text, t.start, t.end) for t in characters(c)] == [
                (m[0], *m.span()) for m in _CHARACTER.finditer(c)
            ]
