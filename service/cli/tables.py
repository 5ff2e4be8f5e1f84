"""Tables for a terminal: the first column to the left, numbers to the right, Chinese characters two cells wide."""

import unicodedata
from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """Lines of a table whose first `texts` columns hold text and whose others hold numbers."""
    lines = [head, *rows]
    widths = [max(_cells(line[c]) for line in lines) for c in range(len(head))]
    return "\n".join(
        "  ".join(_padded(cell, widths[c], c < texts) for c, cell in enumerate(line)).rstrip() for line in lines
    )


def _padded(cell: str, width: int, to_the_left: bool) -> str:
    blanks = " " * (width - _cells(cell))
    return cell + blanks if to_the_left else blanks + cell


def _cells(text: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
