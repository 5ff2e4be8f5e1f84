"""Readers: every bad row with its file and line, and nothing lost."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadRow, TrainingError
from models.network.spans import Span, to_spans
from models.text.tokenizers import characters, words
from models.training.corpora import LabelledText, TaggedText, read_labelled, read_tagged, split_long, tags_of


@pytest.mark.parametrize(
    ("raw", "line"),
    [(b'{"text": "a", "label": "x"}\n{\n', 2), (b"[]\n", 1), (b'{"text": "a"}\n', 1), (b'{"text": 3, "label": "x"}\n', 1),
     (b'{"text": " ", "label": "x"}\n', 1), (b'{"text": "a", "label": ""}\n', 1), (b'\n\n{"text": "\xff", "label": "x"}\n', 3),
     (b'{"text": "\\ud800", "label": "x"}\n', 1)],
)  # fmt: skip
def test_a_bad_json_row_is_named_with_file_and_line(tmp_path: Path, raw: bytes, line: int) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(raw)
    with pytest.raises(BadRow, match=rf"rows\.jsonl:{line}: "):
        read_labelled(path)


@pytest.mark.parametrize(
    ("raw", "line"),
    [("a\tO\nb\n", 2), ("a\tb\tO\n", 1), ("a\tX-LOC\n", 1), ("a\tB-\n", 1), ("\tO\n", 1), ("a O O\n", 1)],
)
def test_a_bad_bio_row_is_named_with_file_and_line(tmp_path: Path, raw: str, line: int) -> None:
    path = tmp_path / "rows.bio"
    path.write_text(raw, "utf-8")
    with pytest.raises(BadRow, match=rf"rows\.bio:{line}: "):
        read_tagged(path, "")


def test_marks_of_other_systems_are_read_over(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes('\ufeff{"text": "a b", "label": "x"}\r\n\r\n'.encode())
    assert read_labelled(path) == [LabelledText("a b", "x")]
    path.write_bytes("\ufeffJohn B-PER\r\nSmith I-PER\r\n\r\nx O".encode())
    assert read_tagged(path, " ") == [TaggedText("John Smith", (Span("PER", 0, 10),)), TaggedText("x", ())]


def test_files_that_are_missing_or_empty_say_so(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be read"):
        read_labelled(tmp_path / "nothing")
    (tmp_path / "empty").write_text("\n")
    for read in (read_labelled, lambda p: read_tagged(p, "")):
        with pytest.raises(TrainingError, match="no row"):
            read(tmp_path / "empty")


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
        ("O'Neil-Smith", "B-PER"), ("'s", "O"), ("U.S.", "B-LOC"),
    ]  # fmt: skip
