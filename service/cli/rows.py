"""`gatescope predict --file`: rows of a file in, one row of results out for each, in batches.

A row that the server refuses becomes a row with `error`, and the others are answered; the exit status is 1 then.
"""

import argparse
import contextlib
import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from gatescope import Client, ProblemError, Result
from gatescope.answers import Entity, Label
from gatescope.exchange import Patience

from .arguments import UsageError
from .shared import client_of
from .terminal import can_print, check_writable, decode, read_standard_input

Row = dict[str, Any]
_PATIENCE = Patience(attempts=8, seconds=80)  # for a batch that the server is too busy for


def predict_file(options: argparse.Namespace, chosen: dict[str, Any]) -> int:
    """The exit status: 0, or 1 where the server refused a row."""
    rows = read_rows(options.file, options.column)
    as_csv = options.out is not None and options.out.suffix == ".csv"
    if options.out is not None and options.out.suffix not in (".csv", ".jsonl"):
        raise UsageError(f"--out is {str(options.out)!r}: a name that ends in .jsonl or .csv is allowed")
    if options.batch_size == 0:
        raise UsageError("--batch-size is 0: 1 or more is allowed")
    path = None if options.out is None else check_writable(options.out)
    refused = 0
    with client_of(options, patience=_PATIENCE) as client, _output(path) as out:
        model = options.model or client.default_model()
        is_tagger = client.model(model).task == "token-classification"
        write = _csv_writer(out, rows, is_tagger) if as_csv else _json_writer(out)
        with _progress(len(rows)) as advance:
            for batch in _batches(rows, options.batch_size):
                texts = [row[options.column] for row in batch]
                for row, answer in zip(batch, _answers(client, model, texts, chosen), strict=True):
                    refused += isinstance(answer, ProblemError)
                    write(row | _fields(answer))
                advance(len(batch))
    if refused:
        print(f"gatescope: {refused} of {len(rows)} rows were refused: their `error` says why", file=sys.stderr)
    return int(refused > 0)


def read_rows(path: Path, column: str) -> list[Row]:
    """Every row of the file, checked before any is sent; a plain text is a row of `column` alone.

    Raises: UsageError, naming the file and the line.
    """
    text = read_standard_input() if str(path) == "-" else _read(path)
    readers = {".jsonl": _json_rows, ".csv": _csv_rows}
    rows = list(readers.get(path.suffix, _plain_rows)(text, column, str(path)))
    if not rows:
        raise UsageError(f"{path} has no row: put a text a line into it")
    return rows


def _read(path: Path) -> str:
    try:
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        raise UsageError(f"--file is {str(path)!r}, which cannot be read: {error.strerror}") from None


def _plain_rows(text: str, column: str, name: str) -> Iterator[Row]:
    for line in text.split("\n"):
        if line.strip():
            yield {column: line.rstrip("\r")}


def _json_rows(text: str, column: str, name: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise UsageError(f"{name}:{number}: this line is not JSON: an object a line is wanted") from None
        yield _checked(row, column, f"{name}:{number}")


def _csv_rows(text: str, column: str, name: str) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    try:
        if column not in (reader.fieldnames or ()):
            found = ", ".join(reader.fieldnames or ()) or "nothing"
            raise UsageError(
                f"{name}: there is no column {column!r} in the header, which has {found}: name it by --column"
            )
        for row in reader:
            if "" in row or None in row.values():
                raise UsageError(f"{name}:{reader.line_num}: this row has another number of fields than the header")
            yield _checked(dict(row), column, f"{name}:{reader.line_num}")
    except csv.Error as error:
        raise UsageError(f"{name}:{reader.line_num}: this is not CSV: {error}") from None


def _checked(row: Any, column: str, place: str) -> Row:
    if not isinstance(row, dict) or not isinstance(row.get(column), str):
        raise UsageError(f"{place}: there is no string {column!r} in this row: name the field by --column")
    try:
        row[column].encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(f"{place}: the text has a lone surrogate, which is no character: mend the row") from None
    return row


def _batches(rows: list[Row], size: int) -> Iterator[list[Row]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _answers(client: Client, model: str, texts: list[str], chosen: dict[str, Any]) -> Iterable[Result | ProblemError]:
    """One for each text; after a refusal each text is sent alone, so that one bad row costs no other its answer."""
    try:
        return client.predict(texts, model, **chosen).results
    except ProblemError as error:
        if error.status == 404:
            raise
        return [error] if len(texts) == 1 else [a for t in texts for a in _answers(client, model, [t], chosen)]


def _fields(answer: Result | ProblemError) -> Row:
    if isinstance(answer, ProblemError):
        return {"error": str(answer)}
    if answer.entities is not None:
        return {"entities": [_spelled(entity) for entity in answer.entities]}
    labels = answer.labels or ()
    best = {"label": labels[0].label, "score": labels[0].score} if labels else {}
    return best | {"labels": [_spelled(label) for label in labels]}


def _spelled(found: Entity | Label) -> Row:
    return {name: value for name, value in asdict(found).items() if value is not None}


def _json_writer(out: TextIO) -> Callable[[Row], None]:
    def write(row: Row) -> None:
        line = json.dumps(row, ensure_ascii=False)
        print(line if out is not sys.stdout or can_print(line) else json.dumps(row), file=out)

    return write


def _csv_writer(out: TextIO, rows: list[Row], is_tagger: bool) -> Callable[[Row], None]:
    """The input's columns, then label and score (NER: entities, as JSON) and error."""
    added = ["entities"] if is_tagger else ["label", "score"]
    names = list(dict.fromkeys([*(name for row in rows for name in row), *added, "error"]))
    writer = csv.DictWriter(out, names, restval="", extrasaction="ignore")
    writer.writeheader()

    def write(row: Row) -> None:
        plain = (str, int, float)
        writer.writerow({k: v if isinstance(v, plain) else json.dumps(v, ensure_ascii=False) for k, v in row.items()})

    return write


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    with path.open("w", encoding="utf-8", newline="") as out:
        yield out


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal, where tqdm is installed: the image serves and has none."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda count: None
        return
    with tqdm(total=total, unit="text", disable=not (sys.stderr and sys.stderr.isatty())) as progress:
        yield progress.update
