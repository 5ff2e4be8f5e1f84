"""Rows: splitting loses nothing, tokens carry the labels of the entities that they lie in, labels have an order."""

from hypothesis import given
from hypothesis import strategies as st

from models.network.spans import Span, to_spans
from models.text.tokenizers import characters, words
from models.training.corpora import TaggedText, ordered_labels, split_long, tags_of


@given(st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"]), min_size=1, max_size=40), st.integers(2, 9))
def test_splitting_cuts_no_entity_that_fits_and_loses_no_text(tags: list[str], longest: int) -> None:
    text = "字" * len(tags)
    row = TaggedText(text, tuple(to_spans(tags)))
    parts = list(split_long(row, characters, longest))
    assert "".join(p.text for p in parts) == text
    assert sum(len(p.entities) for p in parts) == len(row.entities)
    if all(s.stop - s.start <= longest for s in row.entities):
        assert all(len(p.text) <= longest for p in parts)


def test_a_token_inside_an_entity_carries_its_label() -> None:
    row = TaggedText("Mr. O'Neil-Smith's U.S. tour", (Span("PER", 4, 16), Span("LOC", 19, 23)))
    tokens = words(row.text)
    assert [(t.text, tag) for t, tag in zip(tokens, tags_of(row, tokens), strict=True)][2:5] == [
        ("O'Neil-Smith", "B-PER"),
        ("'s", "O"),
        ("U.S.", "B-LOC"),
    ]


def test_integer_labels_are_in_the_order_of_their_numbers_and_words_in_that_of_their_letters() -> None:
    assert ordered_labels(["10", "2", "-1", "2"]) == ("-1", "2", "10")
    assert ordered_labels(["10", "2", "many"]) == ("10", "2", "many")
