"""Files as people have them: each form gives the same rows, and every bad row is named with file and line."""

import csv
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadRow, TrainingError
from models.network.spans import Span
from models.training.corpora import LabelledText, TaggedText
from models.training.readers import Layout, read_labelled, read_tagged

ROWS = [LabelledText("fine, really", "1"), LabelledText('she said "no"\nand left', "0"), LabelledText("酒店不错", "1")]
LONDON = [TaggedText("John Smith saw London", (Span("PER", 0, 10), Span("LOC", 15, 21))), TaggedText("x", ())]


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def table(delimiter: str, header: tuple[str, str] | None, line_break: str = "\n") -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=line_break)
    writer.writerows([*([header] if header else []), *((row.label, row.text) for row in ROWS)])
    return out.getvalue()


BRACES = "".join(json.dumps({"label": int(row.label), "text": row.text}) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    ("name", "text", "layout"),
    [
        ("rows.jsonl", BRACES, Layout()),
        ("rows", "\ufeff" + BRACES.replace("\n", "\r\n\r\n"), Layout()),
        ("rows.jsonl", BRACES.replace('"text"', '"s"').replace('"label"', '"y"'), Layout("s", "y")),
        ("rows.csv", table(",", ("label", "text")), Layout()),
        ("rows.csv", "\ufeff" + table(";", ("label", "text")), Layout()),
        ("rows.txt", table("\t", ("label", "text")), Layout()),
        ("rows.csv", table(",", None), Layout("2", "1")),
        ("rows.tsv", table("\t", ("stars", "review")), Layout("review", "stars")),
        ("rows.TSV", table("\t", None), Layout("2", "1")),
    ],
)
def test_each_form_of_a_file_gives_the_same_rows(tmp_path: Path, name: str, text: str, layout: Layout) -> None:
    assert read_labelled(written(tmp_path, name, text), layout) == ROWS


def test_windows_line_breaks_part_rows_and_stay_inside_quotes(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.csv", table(",", ("label", "text"), "\r\n"))
    assert read_labelled(path) == ROWS
    path = written(tmp_path, "rows.csv", 'text,label\r\n"a\r\nb",x\r\n')
    assert read_labelled(path) == [LabelledText("a\r\nb", "x")]


def test_double_quotes_of_a_tsv_are_text_where_they_mark_no_fields(tmp_path: Path) -> None:
    """As in published corpora, where nothing is quoted, against what a spreadsheet writes."""
    raw = written(tmp_path, "raw.tsv", 'text\tlabel\n"oh" he said\tx\n"the first\ty\n')
    assert [row.text for row in read_labelled(raw)] == ['"oh" he said', '"the first']
    quoted = written(tmp_path, "quoted.tsv", 'text\tlabel\n"""oh"" he said"\tx\n"tab\there"\ty\n')
    assert [row.text for row in read_labelled(quoted)] == ['"oh" he said', "tab\there"]


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), st.integers(-5, 99)),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([",", ";"]),
)
def test_what_the_csv_module_writes_is_read_back(rows: list[tuple[str, int]], delimiter: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    writer.writerows([("text", "label"), *((text + "!", label) for text, label in rows)])
    with tempfile.TemporaryDirectory() as folder:
        found = read_labelled(written(Path(folder), "rows.csv", out.getvalue()))
    assert found == [LabelledText(text + "!", str(label)) for text, label in rows]


def test_rows_know_the_line_at_which_they_begin(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.csv", 'text,label\n"a\nb\nc",x\n\nd,y\n')
    assert [row.line for row in read_labelled(path)] == [2, 6]
    path = written(tmp_path, "rows.bio", "-DOCSTART- O\n\na O\nb O\n\n\nc O\n")
    assert [row.line for row in read_tagged(path, " ")] == [3, 7]


@pytest.mark.parametrize(
    ("raw", "line", "says"),
    [
        (b'{"text": "a", "label": "x"}\n{\n', 2, "not JSON"),
        (b'{"text": "a", "label": "x"}\n3\n', 2, "no object"),
        (b'[{"text": "a", "label": "x"}]\n', 1, "jq -c"),
        (b'{"text": "a"}\n', 1, "--label-column"),
        (b'{"review": "a", "label": "x"}\n', 1, "'review'.*--text-column"),
        (b'{"text": 3, "label": "x"}\n', 1, "a number"),
        (b'{"text": "a", "label": 1.5}\n', 1, "fraction"),
        (b'{"text": "a", "label": true}\n', 1, "true or false"),
        (b'{"text": "a", "label": null}\n', 1, "null"),
        (b'{"text": " ", "label": "x"}\n', 1, "empty"),
        (b'{"text": "a", "label": ""}\n', 1, "empty"),
        (b'{"text": "a", "label": "x\\ny"}\n', 1, "line break"),
        (b'\n\n{"text": "\xff", "label": "x"}\n', 3, "not UTF-8"),
        (b'{"text": "\\ud800", "label": "x"}\n', 1, "surrogate"),
        (b"text,label\na,x\nb\n", 3, "1 columns"),
        (b'text,label\n"a\nb",x\nc,d,y\n', 4, "3 columns.*quotes"),
        (b'text,label\na,x\n"b,y\n', 3, "left open"),
        (b"review,stars\na,x\n", 1, "'review', 'stars'.*--text-column"),
        (b"text,stars\na,x\n", 1, "--label-column"),
        (b"text,label\n,x\n", 2, "empty"),
        (b"text,label\n" + b"a" * 200_000 + b",x\n", 2, "field"),
    ],
)
def test_a_bad_row_of_a_classifier_is_named_with_file_and_line(
    tmp_path: Path, raw: bytes, line: int, says: str
) -> None:
    with pytest.raises(BadRow, match=rf"rows:{line}: .*{says}") as caught:
        read_labelled(written(tmp_path, "rows", raw))
    assert "\n" not in str(caught.value)


def test_a_column_number_that_no_row_has_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadRow, match="no column 3"):
        read_labelled(written(tmp_path, "rows.csv", "a,x\n"), Layout("3", "1"))


FORMS = {
    "bio": "John B-PER\nSmith I-PER\nsaw O\nLondon B-LOC\n\nx O\n",
    "iob1": "John I-PER\nSmith I-PER\nsaw O\nLondon I-LOC\n\nx O\n",
    "bioes": "John B-PER\nSmith E-PER\nsaw O\nLondon S-LOC\n\nx O\n",
    "bilou": "John B-PER\nSmith L-PER\nsaw O\nLondon U-LOC\n\nx O\n",
    "tabs": "John\tB-PER\nSmith\tI-PER\nsaw\tO\nLondon\tB-LOC\n\nx\tO",
    "windows": "\ufeffJohn B-PER\r\nSmith I-PER\r\nsaw O\r\nLondon B-LOC\r\n\r\nx O\r\n",
    "documents": "-DOCSTART- -X- O O\n\nJohn NNP B-NP I-PER\nSmith NNP I-NP I-PER\nsaw VB B-VP O\nLondon NNP B-NP I-LOC\n\n"
    "-DOCSTART- -X- O O\n\nx X O O\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_columns_gives_the_same_sentences(tmp_path: Path, form: str) -> None:
    assert read_tagged(written(tmp_path, "rows", FORMS[form]), " ") == LONDON


def test_a_tag_column_is_chosen_and_a_wrong_one_said(tmp_path: Path) -> None:
    path = written(tmp_path, "rows", "John B-PER NNP\nSmith I-PER NNP\n")
    assert read_tagged(path, " ", Layout(tag_column=2)) == [TaggedText("John Smith", (Span("PER", 0, 10),))]
    with pytest.raises(BadRow, match=r"rows:1: .*'NNP'.*--tag-column names another of the 3 columns"):
        read_tagged(path, " ")
    with pytest.raises(BadRow, match="no column 4"):
        read_tagged(path, " ", Layout(tag_column=4))


@pytest.mark.parametrize(
    ("raw", "line", "says"),
    [
        ("a\tO\nb\n", 2, "1 column"),
        ("a\tO\nb\tNN\tO\n", 2, "2 columns|3 columns"),
        ("a\tX-LOC\n", 1, "X-LOC"),
        ("a\tB-\n", 1, "B-"),
        ("\tO\n", 1, "empty"),
        ("a b c d O\n", 1, "5 columns"),
        ("a B-X\nb O\nc S-X\n", 2, "no end"),
        ("a S-X\nb E-X\n", 2, "follows no B-X"),
        ("a S-X\n\nb B-X\nc I-X\n\n", 4, "ends inside"),
        ("a B-X\nb E-Y\n", 2, "no end"),
    ],
)
def test_a_bad_row_of_a_tagger_is_named_with_file_and_line(tmp_path: Path, raw: str, line: int, says: str) -> None:
    with pytest.raises(BadRow, match=rf"rows\.bio:{line}: .*({says})"):
        read_tagged(written(tmp_path, "rows.bio", raw), "")


def test_a_scheme_that_was_asked_for_is_held_to(tmp_path: Path) -> None:
    path = written(tmp_path, "rows.bio", "a I-X\nb O\nc B-X\n")
    for scheme, line in (("bio", 1), ("iob1", 3), ("bioes", 1)):
        with pytest.raises(BadRow, match=rf"rows\.bio:{line}: "):
            read_tagged(path, " ", Layout(tag_scheme=scheme))  # type: ignore[arg-type]


def test_a_mixture_of_bio_and_iob1_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, "rows.bio", "a I-X\nb O\nc B-X\n\nd I-X\n")
    assert [len(row.entities) for row in read_tagged(path, " ")] == [2, 1]
    assert "2 entities begin with I- and 1 with B-" in caplog.text
    caplog.clear()
    for form in FORMS:
        read_tagged(written(tmp_path, "rows", FORMS[form]), " ")
    assert not caplog.text


def test_gbk_and_utf16_are_told_apart_from_what_is_merely_broken(tmp_path: Path) -> None:
    text = "text\tlabel\n" + "酒店不错，服务很好。\t正面\n" * 3
    for encoding, says in (("gbk", "rows.tsv:2: .*GBK.*iconv -f GB18030"), ("utf-16", "rows.tsv:1: .*UTF-16")):
        with pytest.raises(BadRow, match=says):
            read_labelled(written(tmp_path, "rows.tsv", text.encode(encoding)))
    with pytest.raises(BadRow, match=r"rows\.tsv:2: not UTF-8 \(byte 0xef") as caught:
        read_labelled(written(tmp_path, "rows.tsv", "text\tlabel\nnaïve\tx\n".encode("latin-1")))
    assert "GBK" not in str(caught.value)


def test_files_that_are_missing_or_empty_say_so(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(TrainingError, match="cannot be read"):
            read_labelled(path)
    empty = written(tmp_path, "empty", "\n")
    header = written(tmp_path, "header.csv", "text,label\n")
    for read, path in ((read_labelled, empty), (lambda p: read_tagged(p, ""), empty), (read_labelled, header)):
        with pytest.raises(TrainingError, match="no row"):
            read(path)


@given(st.binary(max_size=60), st.sampled_from(["rows.csv", "rows.tsv", "rows", "rows.jsonl"]))
def test_any_bytes_give_rows_or_one_sentence(raw: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), name, raw)
        for read in (read_labelled, lambda p: read_tagged(p, " ")):
            message = "one line"
            try:
                assert read(path)
            except TrainingError as error:
                message = str(error)
            assert len(message.splitlines()) == 1
