"""What people type is one token of a kind each, variants have one form, and lines are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.text.features import GAP_ROWS, Feature, affixes, shape
from models.text.folding import fold
from models.text.tokenizers import KIND_FORMS, LONGEST_TOKEN, mixed
from models.text.tokens import BLANK, EMPTY_LINE, JOINED, LINE_BREAK

PIECES = [
    "don't",
    "“quoted”",
    "http://t.co/a1?b=c,",
    "@some_one",
    "#London",
    "<br />",
    "👍🏽",
    "!!!",
    "北京",
    "Ｌｉｌｙ",
    "3.5",
    "\u200b",
    " ",
    "\n\n",
    "…",
    "——",
    "a@b.com",
    "&amp;",
    "x" * 70,
    "O'Brien",
    "e\u0301",
    "-LRB-",
    "\ud800",
    "wont",
    "😀😀",
    "·",
]
TEXT = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=60)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("see https://a.org/b?c=d.", ["see", "https://a.org/b?c=d", "."]),
        ("去www.a.cn看", ["去", "www.a.cn", "看"]),
        ("mail a.b@c.org, @you_1 #London2 #1", ["mail", "a.b@c.org", ",", "@you_1", "#London2", "#", "1"]),
        ('<p class="x">Hi</p><br />', ['<p class="x">', "Hi", "</p>", "<br />"]),
        ("a < b > c", ["a", "<", "b", ">", "c"]),
        ("so!!! good.... ——", ["so", "!!!", "good", "....", "——"]),
        ("😀😀👍🏽🇨🇳❤️", ["😀", "😀", "👍🏽", "🇨🇳", "❤️"]),
        ("歌手Michael Jackson在2010年", ["歌", "手", "Michael", "Jackson", "在", "2010", "年"]),
        ("Tom&amp;Jerry AT&T", ["Tom", "&amp;", "Jerry", "AT&T"]),
        ("\ufeffAnna\u200bSmith", ["\ufeff", "Anna", "\u200b", "Smith"]),
        ("soft\u00adhyphen", ["soft\u00adhyphen"]),
        ("dont CANT wont NT", ["do", "nt", "CA", "NT", "wo", "nt", "NT"]),
    ],
)
def test_what_people_type_is_one_token_each(text: str, want: list[str]) -> None:
    assert [t.text for t in mixed(text)] == want


@pytest.mark.parametrize(
    ("variant", "plain"),
    [
        ("“It’s” ‘fine’ — no… yes", "\"It's\" 'fine' -- no.. yes"),
        ("Ｉｔ　ｉｓ　ＧＯＯＤ！", "It is GOOD!"),
        ("• one ● two ‧ three", "· one · two · three"),
        ("wow!!!!!! ok......", "wow!! ok.."),
        ("1990–1995 well‑made", "1990-1995 well-made"),
        ("張學友「好」", "张学友“好”"),
        ("``it'' -lrb- x -rrb-", '"it" ( x )'),
        ("I dont and cant", "I do n't and ca n't"),
        ("see http://a.b/c 👍 <br/>", "see www.example.com 😀🏽 <p>"),
        ("Tom &amp; Ann", "Tom & Ann"),
    ],
)
def test_variants_have_the_forms_of_the_plain_text(variant: str, plain: str) -> None:
    assert [t.form for t in mixed(variant)] == [t.form for t in mixed(plain)]


def test_variants_have_the_affixes_and_the_shape_of_the_plain_text() -> None:
    for variant, plain in [
        ("O’Brien", "O'Brien"),
        ("Ｌｏｎｄｏｎ", "London"),
        ("soft\u00adhyphen", "softhyphen"),
        ("！！！", "!!"),
    ]:
        (a,), (b,) = mixed(variant), mixed(plain)
        assert (affixes(a), shape(a), a.spelling) == (affixes(b), shape(b), b.spelling)
    assert mixed("#London")[0].spelling == "#London"
    assert mixed("NT")[0].form == "nt"


def test_every_kind_has_its_form() -> None:
    text = "http://a.b a@b.cd @me <b> 😀 \u200b ★"
    assert {t.form for t in mixed(text)} == KIND_FORMS
    assert all(t.spelling == t.form for t in mixed(text))


def test_a_fold_is_stable() -> None:
    for text in ["“’—…·「」", "ＡＢＣ１２", "張學友", "a`b"]:
        assert fold(fold(text)) == fold(text)


@given(TEXT)
def test_all_but_white_space_lies_in_one_token(text: str) -> None:
    covered, end = set(), 0
    for token in mixed(text):
        assert token.start >= end
        assert token.text == text[token.start : token.end]
        assert 0 < len(token.text) <= LONGEST_TOKEN
        assert token.form
        assert "\n" not in token.form
        end = token.end
        covered.update(range(token.start, token.end))
        if not token.text.startswith(("<", "</")):
            assert not any(c.isspace() for c in token.text)
    assert all(i in covered for i, c in enumerate(text) if not c.isspace())


@given(TEXT, TEXT, st.integers(0, 200))
def test_tokens_far_from_the_end_of_what_is_known_never_change(text: str, more: str, end: int) -> None:
    """A stream may keep every token that ends so far before the end of what has arrived."""
    whole = text + more
    known = list(mixed(whole[:end]))
    settled = [t for t in known if t.end <= end - 2 * LONGEST_TOKEN]
    assert list(mixed(whole))[: len(settled)] == settled


@pytest.mark.parametrize("between", ["", " ", "\t", "\n", "\r\n", " \n ", "\n\n", "\r\n\r\n", "\n \t\n", "\u2028"])
def test_a_gap_says_what_stands_before_a_token(between: str) -> None:
    want = {"": JOINED, " ": BLANK, "\t": BLANK, "\n\n": EMPTY_LINE, "\r\n\r\n": EMPTY_LINE, "\n \t\n": EMPTY_LINE}
    tokens = mixed(f"我{between}他")
    assert [t.gap for t in tokens] == [EMPTY_LINE, want.get(between, LINE_BREAK)]
    assert Feature("gap", GAP_ROWS, 2).ids(tokens)[:, 0].tolist() == [t.gap for t in tokens]


def test_where_tokens_are_left_out_the_next_begins_their_line() -> None:
    tokens = mixed("a\n\nb c d")
    assert [t.gap for t in tokens.only([0, 2, 3])] == [EMPTY_LINE, EMPTY_LINE, BLANK]
    assert [t.gap for t in tokens.only([1, 3])] == [EMPTY_LINE, BLANK]
    assert [t.gap for t in tokens.only([3])] == [EMPTY_LINE]
