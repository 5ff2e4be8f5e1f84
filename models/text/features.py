"""Tokens -> bags of ids, one bag for each feature and timestep: the rows that a token names in each feature's table.

A token or a bigram names one row, a word's pieces name several. No feature of token t looks at token t+1, so a
forward-only model can be fed token by token. What the rows hold is `models.network.embedding`'s.

Hashed features need no vocabulary: a piece's row is its CRC-32 modulo the table's size (Weinberger et al. 2009).
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import repeat
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .tokens import EMPTY_LINE, JOINED, Token, Tokens
from .vocabulary import PADDING, Vocabulary

FeatureKind = Literal["token", "bigram", "subword", "affix", "shape", "gap"]
GAP_ROWS = EMPTY_LINE + 1


def bigram_forms(tokens: Tokens) -> list[str]:
    """``(t-1, t)`` for each t; the first token's left neighbour is written ``^``."""
    return _pairs(tokens.forms)


def _pairs(forms: Sequence[str]) -> list[str]:
    return [f"{left} {form}" for left, form in zip(["^", *forms], forms, strict=False)]


def subwords(token: Token) -> list[str]:
    """The 3- to 5-grams of ``<form>``, as fastText has them (Bojanowski et al. 2017)."""
    word = f"<{token.form}>"
    return [word[i : i + n] for n in (3, 4, 5) for i in range(len(word) - n + 1)] or [word]


def affixes(token: Token) -> list[str]:
    """Prefixes and suffixes of 1 to 4 characters, capitals kept: ``Lon`` and ``don`` of London."""
    word = token.spelling
    return [piece for n in range(1, min(4, len(word)) + 1) for piece in (f"{word[:n]}-", f"-{word[-n:]}")]


def shape(token: Token) -> list[str]:
    """The pattern of capitals, small letters, digits and the rest, runs shortened: ``McDonald-7`` -> ``AaAa-0``."""
    out = ""
    for c in token.spelling:
        kind = "0" if c.isdecimal() else "A" if c.isupper() else "a" if c.isalpha() else c
        if not out.endswith(kind):
            out += kind
    return [out if len(token.spelling) > 1 else f"{out}."]


_PIECES: dict[str, Callable[[Token], list[str]]] = {"subword": subwords, "affix": affixes, "shape": shape}


@dataclass(frozen=True)
class Feature:
    """One table of x_t: how a token's rows in it are named.

    rows: of the table, padding's row 0 included; dimension: of each row.
    vocabulary: for ``token`` and ``bigram``; ``gap`` has a row for each of its four values; the rest are hashed.
    """

    kind: FeatureKind
    rows: int
    dimension: int
    vocabulary: Vocabulary | None = field(default=None, repr=False)

    def ids(self, tokens: Tokens) -> NDArray[np.int64]:
        """For each token the rows that it names, at least one: [time, bag], short bags filled with `PADDING`."""
        if self.kind == "gap":
            return np.array(tokens.gaps or [JOINED] * len(tokens), np.int64)[:, None]
        if self.kind in _PIECES:
            return _rectangle(
                [_buckets(self.kind, s, form, self.rows) for s, form in zip(tokens.spelled, tokens.forms, strict=True)]
            )
        assert self.vocabulary is not None
        if self.kind == "bigram":
            return self.bigram_ids(tokens.forms)
        return np.array(self.vocabulary.ids(tokens.forms), np.int64)[:, None]

    def bigram_ids(self, forms: Sequence[str]) -> NDArray[np.int64]:
        """The rows of the pairs of these forms, one behind the other: [time, 1]."""
        assert self.vocabulary is not None
        return np.array(self.vocabulary.ids(_pairs(forms)), np.int64)[:, None]


@lru_cache(maxsize=65536)
def _buckets(kind: FeatureKind, spelling: str, form: str, rows: int) -> tuple[int, ...]:
    pieces = _PIECES[kind](Token(spelling, 0, len(spelling), form, spelling, JOINED))
    return tuple(1 + zlib.crc32(piece.encode("utf-8", "surrogatepass")) % (rows - 1) for piece in pieces)


def _rectangle(bags: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    width = max(map(len, bags), default=1)
    return np.array([(*bag, *repeat(PADDING, width - len(bag))) for bag in bags], np.int64).reshape(-1, width)


TextIds = dict[FeatureKind, NDArray[np.int64]]  # of one text: [time, bag]
FeatureIds = dict[FeatureKind, Tensor]  # of a padded batch: int64 [batch, time, bag]


def text_ids(features: Sequence[Feature], tokens: Tokens) -> TextIds:
    return {feature.kind: feature.ids(tokens) for feature in features}


def kept_ids(features: Sequence[Feature], tokens: Tokens, ids: TextIds, places: Sequence[int]) -> TextIds:
    """The ids of a text of which only some tokens are read; bigram and gap see what stands before."""
    chosen = list(places)
    kept = {kind: rows[chosen] for kind, rows in ids.items()}
    for feature in features:
        if feature.kind == "gap" and chosen:
            # a line that began at a token that is left out begins at the next one: the largest gap since the one before
            firsts = np.array([-1, *chosen[:-1]]) + 1
            kept["gap"] = np.maximum.reduceat(ids["gap"][: chosen[-1] + 1], firsts)
        elif feature.kind == "bigram":
            kept["bigram"] = feature.bigram_ids([tokens.forms[n] for n in chosen])
    return kept


def batch_ids(texts: Sequence[TextIds]) -> FeatureIds:
    """Ragged texts as one rectangle a feature: texts padded to the longest, bags to the largest, with `PADDING`."""
    if len(texts) == 1:
        return {kind: torch.from_numpy(ids[None]) for kind, ids in texts[0].items()}
    lengths = np.array([len(next(iter(text.values()))) for text in texts])
    inside = np.arange(lengths.max()) < lengths[:, None]
    out: FeatureIds = {}
    for kind in texts[0]:
        rows = [text[kind] for text in texts]
        bags = {row.shape[1] for row in rows}
        ids = np.full((*inside.shape, max(bags)), PADDING, np.int64)
        if len(bags) == 1:
            ids[inside] = np.concatenate(rows)
        else:
            for padded, row in zip(ids, rows, strict=True):
                padded[: row.shape[0], : row.shape[1]] = row
        out[kind] = torch.from_numpy(ids)
    return out
