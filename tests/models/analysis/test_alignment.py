"""A longest common subsequence is one by brute force; distances are those of the states that were aligned."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.analysis.alignment import align, distances

WORDS = st.lists(st.sampled_from("abc"), max_size=7)


@given(first=WORDS, second=WORDS)
def test_the_alignment_is_common_ordered_and_as_long_as_brute_force_finds(first: list[str], second: list[str]) -> None:
    pairs = align(first, second)
    assert all(first[i] == second[j] for i, j in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in itertools.pairwise(pairs))
    parts = {tuple(first[i] for i in kept) for n in range(8) for kept in itertools.combinations(range(len(first)), n)}
    inside = lambda part: all(token in rest for rest in [iter(second)] for token in part)  # noqa: E731
    assert len(pairs) == max(len(part) for part in parts if inside(part))


def test_the_docstrings_example_holds() -> None:
    assert align("abcd", "xbd") == [(1, 1), (3, 2)]


def test_distances_are_between_the_aligned_states() -> None:
    first, second = np.arange(12.0).reshape(4, 3), np.zeros((3, 3))
    assert distances([(0, 0), (3, 1)], first, second).tolist() == [5**0.5, (81 + 100 + 121) ** 0.5]
    assert distances([], first, second).shape == (0,)
