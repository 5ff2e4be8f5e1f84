"""Two texts side by side: which tokens they share, and how far apart the network's states are there."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def align(first: Sequence[str], second: Sequence[str]) -> list[tuple[int, int]]:
    """Index pairs of a longest common subsequence of tokens: ``abcd`` and ``xbd`` -> (1, 1), (3, 2).

    Of several, the one whose pairs stand earliest. A row of the table is one running maximum: 4096 x 4096 tokens take
    a fraction of a second and 34 MB.
    """
    known: dict[str, int] = {}
    a, b = (np.array([known.setdefault(token, len(known)) for token in text], np.int64) for text in (first, second))
    longest = np.zeros((len(a) + 1, len(b) + 1), np.int16)  # of first[i:] and second[j:]
    for i in range(len(a) - 1, -1, -1):
        with_this = longest[i + 1, 1:] + (a[i] == b)
        best = np.maximum(longest[i + 1, :-1], with_this)
        longest[i, :-1] = np.maximum.accumulate(best[::-1])[::-1]
    pairs, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif longest[i + 1, j] >= longest[i, j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def distances(
    pairs: Sequence[tuple[int, int]], first: NDArray[np.floating], second: NDArray[np.floating]
) -> NDArray[np.float64]:
    """|| h_i - h_j ||_2 of each pair: states [time, direction * unit] of the two texts -> [pair]."""
    i, j = np.array(pairs, np.int64).reshape(-1, 2).T
    apart: NDArray[np.float64] = np.linalg.norm(first[i].astype(np.float64) - second[j], axis=1)
    return apart
