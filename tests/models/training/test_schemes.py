"""Tag schemes: what a slow writer writes in any of them is read back as the same entities."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.network.spans import Span, to_tags
from models.training.schemes import BadTag, TagScheme, mixed_openings, scheme_of, spans_of

SCHEMES: tuple[TagScheme, ...] = ("bio", "iob1", "bioes")


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Spans of two kinds that do not overlap, some of them touching, and the sentence's length."""
    spans, at = [], 0
    for _ in range(draw(st.integers(0, 6))):
        start = at + draw(st.integers(0, 2))
        at = start + draw(st.integers(1, 4))
        spans.append(Span(draw(st.sampled_from("AB")), start, at))
    return spans, at + draw(st.integers(0 if at else 1, 3))


def written(spans: Sequence[Span], length: int, scheme: TagScheme) -> list[str]:
    """The oracle: each token's tag from what the definition of the scheme says of it alone."""
    return [tag(spans, t, scheme) for t in range(length)]


def tag(spans: Sequence[Span], t: int, scheme: TagScheme) -> str:
    inside = [span for span in spans if span.start <= t < span.stop]
    if not inside:
        return "O"
    (span,) = inside
    is_first, is_last = t == span.start, t == span.stop - 1
    touches_its_kind = any(other.label == span.label and other.stop == span.start for other in spans)
    if scheme == "bioes":
        prefix = {(True, True): "S", (True, False): "B", (False, True): "E", (False, False): "I"}[is_first, is_last]
    elif scheme == "iob1":
        prefix = "B" if is_first and touches_its_kind else "I"
    else:
        prefix = "B" if is_first else "I"
    return f"{prefix}-{span.label}"


@given(sentences())
def test_what_any_scheme_writes_is_read_back(sentence: tuple[list[Span], int]) -> None:
    spans, length = sentence
    for scheme in SCHEMES:
        assert spans_of(written(spans, length, scheme), scheme) == spans
    assert written(spans, length, "bio") == to_tags(spans, length)


@given(sentences(), st.sampled_from(["BIES", "BMES", "BILU", "BMLU"]))
def test_bioes_has_other_spellings_and_one_meaning(sentence: tuple[list[Span], int], letters: str) -> None:
    spans, length = sentence
    spelled = dict(zip("BIES", letters, strict=True)) | {"O": "O"}
    tags = [spelled[tag[0]] + tag[1:] for tag in written(spans, length, "bioes")]
    assert spans_of(tags, "bioes") == spans


@given(st.lists(sentences(), min_size=1, max_size=5))
def test_a_file_is_read_alike_in_whatever_scheme_it_was_written(found: list[tuple[list[Span], int]]) -> None:
    """auto: the scheme is told from the tags, and where the tags of two schemes are the same, so are the entities."""
    expected = [spans for spans, _ in found]
    for scheme in SCHEMES:
        tags = [written(spans, length, scheme) for spans, length in found]
        told = scheme_of(tags)
        if scheme == "bioes" and any(expected):
            assert told == "bioes"
        assert [spans_of(row, "bioes" if told == "bioes" else "auto") for row in tags] == expected
        assert told == scheme or not any(expected) or scheme == "iob1"
        if scheme != "bioes":
            assert 0 in mixed_openings(tags)


@given(st.lists(st.sampled_from(["O", *(f"{p}-{k}" for p in "BIES" for k in "AB")]), min_size=1, max_size=7))
def test_bioes_takes_exactly_what_the_writer_can_write(tags: list[str]) -> None:
    """Read, written again, and the same; or refused, and then no set of spans is written so."""
    try:
        spans = spans_of(tags, "bioes")
    except BadTag:
        assert not possible_bioes(tags)
    else:
        assert written(spans, len(tags), "bioes") == tags


def possible_bioes(tags: Sequence[str]) -> bool:
    """The oracle: neighbours that the scheme allows, with nothing before the first and after the last."""
    around = ["O", *tags, "O"]
    for left, right in itertools.pairwise(around):
        opens, goes_on = left[0] in "BI", right[0] in "IE"
        if opens != goes_on or (opens and left[2:] != right[2:]):
            return False
    return True


def test_iob1_is_told_from_bio() -> None:
    assert scheme_of([["I-A", "B-A", "O"]]) == "iob1"
    assert scheme_of([["B-A", "I-A", "O"]]) == "bio"
    assert scheme_of([["O"]]) == "bio"
    with pytest.raises(ValueError, match="X-A"):
        scheme_of([["X-A"]])
