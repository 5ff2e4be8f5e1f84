"""A file's bytes -> its text, or the line that is not UTF-8 and what the file seems to be."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from ...errors import BadRow, TrainingError

Row = TypeVar("Row")

BOM = b"\xef\xbb\xbf"
UTF16 = "not UTF-8 but UTF-16: save the file as UTF-8"
_LIKELY = 0.9  # share of the characters beyond ASCII that stand in GB 2312: Chinese text has nearly all of them there


def read_text(path: Path) -> str:
    """The text of a UTF-8 file without its byte-order mark; line breaks are left as they are.

    Raises: TrainingError where the file cannot be read; BadRow at the line that is not UTF-8.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    if is_utf16(raw):
        raise BadRow(path, 1, UTF16)
    raw = raw.removeprefix(BOM)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRow(path, raw.count(b"\n", 0, error.start) + 1, encoding_problem(raw, path, error)) from error


def is_utf16(raw: bytes) -> bool:
    return raw.startswith((b"\xff\xfe", b"\xfe\xff"))


def encoding_problem(raw: bytes, path: Path, error: UnicodeDecodeError) -> str:
    """The sentence for bytes that are not UTF-8, with what they seem to be."""
    if _is_gbk(raw):
        return f"not UTF-8 but GBK, as it seems: `iconv -f GB18030 -t UTF-8 {path.name}` converts it"
    return f"not UTF-8 (byte 0x{raw[error.start]:02x}, {error.reason}): save the file as UTF-8"


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Each line with its number from 1, without its line break."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        yield number, line.rstrip("\r")


def at_least_one(path: Path, rows: list[Row]) -> list[Row]:
    """Raises: TrainingError where there is no row."""
    if not rows:
        raise TrainingError(f"{path} holds no row")
    return rows


def _is_gbk(raw: bytes) -> bool:
    """Whether the bytes are GB 18030 and mostly everyday Chinese, which Latin-1 text read as GB 18030 is not."""
    try:
        beyond_ascii = [c for c in raw.decode("gb18030") if ord(c) > 127]
    except UnicodeDecodeError:
        return False
    everyday = sum(_is_in_gb2312(c) for c in beyond_ascii)
    return everyday >= _LIKELY * len(beyond_ascii)


def _is_in_gb2312(character: str) -> bool:
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True
