"""BIO tags and spans, by the rules of `models.network.spans`."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.network.spans import Span, bio_tags, to_spans, to_tags


@pytest.mark.parametrize(
    ("tags", "want"),
    [
        (["B-A", "I-A", "O"], [Span("A", 0, 2)]),
        (["I-A", "I-A"], [Span("A", 0, 2)]),
        (["B-A", "B-A"], [Span("A", 0, 1), Span("A", 1, 2)]),
        (["B-A", "I-B"], [Span("A", 0, 1), Span("B", 1, 2)]),
        (["O", "I-A", "O", "B-A"], [Span("A", 1, 2), Span("A", 3, 4)]),
        ([], []),
    ],
)
def test_an_i_that_follows_neither_opens_an_entity(tags: list[str], want: list[Span]) -> None:
    assert to_spans(tags) == want


@given(st.lists(st.sampled_from(bio_tags(("A", "B")))))
def test_spans_and_tags_are_equivalent(tags: list[str]) -> None:
    spans = to_spans(tags)
    assert to_spans(to_tags(spans, len(tags))) == spans
    assert all(a.stop <= b.start for a, b in itertools.pairwise(spans))
    assert sum(s.stop - s.start for s in spans) == sum(tag != "O" for tag in tags)
