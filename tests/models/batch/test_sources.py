"""A file cut into blocks gives the rows that the whole file has, whatever stands in it."""

import csv
import io
import json
import pickle
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.batch.sources import Rows, Source, lines, open_source
from models.errors import BadRow, BatchError
from tests.models.batch.files import json_lines, parquet, table

NONE: frozenset[str] = frozenset()
ROWS = [{"id": n, "text": f"text {n}" + '\nand "more", of it' * (n % 3)} for n in range(137)]
CELLS = st.text(st.sampled_from('ab",;\t\n\r 好'), max_size=6)


def all_rows(source: Source) -> list[tuple[int, str, bool]]:
    """Line, text, and whether there is a problem: block by block, each read by a reader of its own, the last first."""
    blocks = list(source.blocks())
    found = {block.index: pickle.loads(pickle.dumps(source)).rows(block) for block in reversed(blocks)}
    for block in blocks:
        assert len(found[block.index].lines) == block.rows
    return [row for n in range(len(blocks)) for row in flat(found[n])]


def flat(rows: Rows) -> list[tuple[int, str, bool]]:
    assert len(rows.lines) == len(rows.texts) == len(rows.columns.objects())
    return [(line, text, n in rows.problems) for n, (line, text) in enumerate(zip(rows.lines, rows.texts, strict=True))]


@pytest.mark.parametrize("block_rows", [1, 7, 1000])
@pytest.mark.parametrize("write", [json_lines, table, parquet])
def test_blocks_have_every_row_once_and_in_order(tmp_path: Path, write: object, block_rows: int) -> None:
    suffix = {json_lines: ".jsonl", table: ".csv", parquet: ".parquet"}[write]  # type: ignore[index]
    source = open_source(write(tmp_path / f"rows{suffix}", ROWS), "text", NONE, block_rows)  # type: ignore[operator]
    assert [text for _, text, problem in all_rows(source) if not problem] == [row["text"] for row in ROWS]
    first = next(iter(source.blocks()))
    assert [json.loads(o)["text"] for o in source.rows(first).columns.objects()] == source.rows(first).texts


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=12), CELLS), min_size=1, max_size=20), st.integers(1, 6), st.booleans())
def test_any_lines_read_as_json_one_by_one(texts: list[str], block_rows: int, bom: bool) -> None:
    content = "".join(
        (json.dumps({"text": text}) if n % 3 else text.replace("\n", " ")) + "\n" for n, text in enumerate(texts, 1)
    )
    raw = content.encode("utf-8", "replace")
    expected = []
    for number, line in enumerate(raw.split(b"\n"), 1):
        if line and not line.isspace():
            try:
                row = json.loads(line.decode())
                text = row["text"] if isinstance(row, dict) else None
            except ValueError:
                text = None
            if isinstance(text, str) and any("\ud800" <= c <= "\udfff" for c in text):
                text = None
            expected.append((number, text or "", text is None))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_bytes(b"\xef\xbb\xbf" * bom + b'{"text": "first"}\n' + raw)
        found = all_rows(open_source(path, "text", NONE, block_rows))
    assert found == [(1, "first", False), *((line + 1, text, problem) for line, text, problem in expected)]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=20), st.integers(1, 6))
def test_any_table_reads_as_csv_reads_the_whole(cells: list[tuple[str, str]], block_rows: int) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([("text", "other"), ("first", "x"), *cells])
    whole = list(csv.reader(io.StringIO(out.getvalue(), newline="")))[1:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_text(out.getvalue(), "utf-8", newline="")
        found = all_rows(open_source(path, "text", NONE, block_rows))
    assert [text for _, text, _ in found] == [row[0] for row in whole if any(cell.strip() for cell in row)]
    assert not any(problem for _, _, problem in found)


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from('ab",\n 好'), max_size=60), st.integers(1, 4), st.integers(1, 4))
def test_whatever_stands_in_a_table_no_cut_changes_its_rows(content: str, one: int, other: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_text("text,other\nfirst,x\n" + content, "utf-8", newline="")
        assert all_rows(open_source(path, "text", NONE, one)) == all_rows(open_source(path, "text", NONE, other))


def test_after_a_quote_left_open_the_next_line_is_a_row_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('text,n\nfine,1\n"open,2\ngood,3\n"two\nlines",4\nmore,columns,5\n', "utf-8")
    source = open_source(path, "text", NONE)
    assert all_rows(source) == [
        (2, "fine", False),
        (3, "", True),
        (4, "good", False),
        (5, "two\nlines", False),
        (7, "", True),
    ]
    problems = source.rows(next(iter(source.blocks()))).problems
    assert "double quote left open" in problems[1]
    assert "found 3 columns, the first row has 2" in problems[4]


def test_a_line_too_long_is_a_bad_row_and_is_never_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 64)
    for suffix, header, row in ((".jsonl", "", '{"text": "%s"}\n'), (".csv", "text\n", "%s\n")):
        path = tmp_path / f"rows{suffix}"
        path.write_text(header + row % "a" + row % ("b" * 1000) + row % "c", "utf-8")
        found = all_rows(open_source(path, "text", NONE, 1))
        assert [(text, problem) for _, text, problem in found] == [("a", False), ("", True), ("c", False)]


def test_bytes_that_are_no_text_are_a_bad_row_with_the_likely_encoding(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("text\n好\n".encode() + "服务很好\n".encode("gbk") + "差\n".encode())
    source = open_source(path, "text", NONE)
    assert [(text, problem) for _, text, problem in all_rows(source)] == [("好", False), ("", True), ("差", False)]
    assert "GBK" in source.rows(next(iter(source.blocks()))).problems[1]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", b"", "holds no row"),
        ("a.jsonl", b"\n \n", "holds no row"),
        ("a.csv", b"text\n", "holds no row"),
        ("a.jsonl", b'{"text": 1}', "a.jsonl:1: the text is a number"),
        (
            "a.jsonl",
            b'{"words": "x"}\n{"words": "y"}',
            "no 'text' among 'words': --text-column names another key; none",
        ),
        ("a.jsonl", b'[{"text": "x"}]', "JSON array: write one object a line"),
        ("a.jsonl", '{"text": "很好"}'.encode("gbk"), "not UTF-8 but GBK"),
        ("a.jsonl", '{"text": "x"}'.encode("utf-16"), "UTF-16"),
        ("a.csv", b"id,review\n1,x\n", "no column 'text' in the header 'id', 'review': --text-column"),
        ("a.csv", b"text,a,a\nx,1,2\n", "the header names 'a' twice"),
        ("a.csv", b"text,label\nx,1\n", "has a column 'label', which an answer would overwrite: --prefix"),
        ("a.jsonl", b'{"text": "x", "label": 1}', "has 'label', which an answer would overwrite: --prefix"),
    ],
)
def test_what_no_run_could_answer_is_refused_before_the_work(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((BatchError, BadRow)) as refused:
        open_source(tmp_path / name, "text", frozenset({"label"}))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_table_without_a_header_names_its_columns_by_number(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text('1\tsays "hi"\n2\tbye\n', "utf-8")
    source = open_source(path, "2", NONE)
    assert [text for _, text, _ in all_rows(source)] == ['says "hi"', "bye"]
    rows = source.rows(next(iter(source.blocks())))
    assert json.loads(rows.columns.objects()[0]) == {"1": "1", "2": 'says "hi"'}


def test_a_parquet_file_is_refused_where_its_texts_are_no_strings(tmp_path: Path) -> None:
    numbers = parquet(tmp_path / "numbers.parquet", [{"text": 1}])
    with pytest.raises(BatchError, match="the column 'text' holds int64"):
        open_source(numbers, "text", NONE)
    with pytest.raises(BatchError, match="no column 'review' among 'text': --text-column"):
        open_source(numbers, "review", NONE)
    numbers.write_bytes(numbers.read_bytes()[:-9])
    with pytest.raises(BatchError, match="not a whole Parquet file"):
        open_source(numbers, "text", NONE)
