"""Text in and out, whatever the terminal's encoding: nothing is lost, and nothing ends in a traceback."""

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from .arguments import UsageError

_SHADES, _ASCII_SHADES = " ░▒▓█", " .-+#"  # fillings of one cell, from empty to full


def prepare_streams() -> None:
    """A character that the terminal's encoding lacks is written as its escape, ``\\u6211``."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def check_words(words: list[str]) -> None:
    """Raises: UsageError where an argument is not text in the locale's encoding."""
    for number, word in enumerate(words, 1):
        try:
            word.encode("utf-8")
        except UnicodeEncodeError:
            encoding = sys.getfilesystemencoding().upper()
            raise UsageError(
                f"argument {number} is not text in {encoding}, the encoding of this locale: convert it"
            ) from None


def read_text(text: str) -> str:
    """The text, or standard input for ``-``.

    Raises: UsageError where standard input is not text.
    """
    return read_standard_input().removesuffix("\n") if text == "-" else text


def read_standard_input() -> str:
    """In UTF-8, or else in the locale's encoding; what a person types is in the terminal's.

    Raises: UsageError.
    """
    if sys.stdin is None:
        raise UsageError("standard input is closed: give the text as an argument")
    raw = getattr(sys.stdin, "buffer", None)
    if raw is None:
        return sys.stdin.read()
    return decode(raw.read(), "standard input", first=sys.stdin.encoding if sys.stdin.isatty() else "utf-8-sig")


def decode(raw: bytes, name: str, first: str = "utf-8-sig") -> str:
    """Raises: UsageError, naming the first byte that is no text."""
    encodings = dict.fromkeys([first, "utf-8-sig", sys.stdin.encoding if sys.stdin else "utf-8"])
    for encoding in encodings:
        with contextlib.suppress(UnicodeDecodeError, LookupError):
            return raw.decode(encoding)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name} is not UTF-8: byte {raw[error.start]:#04x} at {error.start}: convert it, for example with "
            "iconv -f GBK -t UTF-8"
        ) from None


def can_print(text: str) -> bool:
    """Whether standard output's encoding has every character."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def bar(value: float, width: int = 20) -> str:
    """`width` cells, filled from the left to |value|, which is 1 at most."""
    shades = _SHADES if can_print(_SHADES) else _ASCII_SHADES
    cells = min(abs(value), 1.0) * width if value == value else 0.0
    full = int(cells)
    part = shades[int((cells - full) * (len(shades) - 1))] if full < width else ""
    return (shades[-1] * full + part).ljust(width)


def print_json(answer: Any) -> None:
    """An answer's JSON; characters that standard output lacks are JSON's own escapes."""
    text = json.dumps(answer, ensure_ascii=False, indent=1)
    print(text if can_print(text) else json.dumps(answer, indent=1))


def check_writable(path: Path) -> Path:
    """Called before the work whose result goes there.

    Raises: UsageError where the file cannot be written.
    """
    folder = path.parent
    if path.is_dir():
        raise UsageError(f"--out is {str(path)!r}, a folder: name a file")
    if not folder.is_dir():
        raise UsageError(f"--out is {str(path)!r}, and there is no folder {str(folder)!r}: make it first")
    is_new = not path.exists()
    try:
        path.open("ab").close()
    except OSError as error:
        raise UsageError(f"--out is {str(path)!r}, which cannot be written: {error.strerror}") from None
    if is_new:
        path.unlink()
    return path
