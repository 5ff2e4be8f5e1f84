"""What no entity may be, whatever the emissions: tags that a token cannot have are barred before decoding.

A web address, a mark-up tag, an emoji or a format character is part of no entity, none begins with a mark, and none
crosses an empty line. Readings of older models know neither kinds of token nor lines: there nothing is barred.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..text.tokenizers import OUTSIDE
from ..text.tokens import EMPTY_LINE, Tokens
from .crf import FORBIDDEN


def barred(tokens: Tokens, tags: Sequence[str]) -> NDArray[np.bool_] | None:
    """Which of the tags each token cannot have: [time, tag], or None where every tag is possible."""
    if tokens.gaps is None or tokens.spellings is None:
        return None
    outside = [t for t, form in enumerate(tokens.forms) if form in OUTSIDE]
    paragraphs = [t for t, gap in enumerate(tokens.gaps) if gap == EMPTY_LINE and t]
    marks = [t for t, spelling in enumerate(tokens.spellings) if _is_mark(spelling)]
    if not (outside or paragraphs or marks):
        return None
    out = np.zeros((len(tokens), len(tags)), np.bool_)
    out[outside] = [tag != "O" for tag in tags]
    out[paragraphs] |= np.array([tag.startswith("I-") for tag in tags])
    out[marks] |= np.array([tag.startswith("B-") for tag in tags])
    return out


@lru_cache(maxsize=65536)
def _is_mark(spelling: str) -> bool:
    """No letter and no digit; but an @ stands before the name of an account, and some corpora tag it."""
    return spelling != "@" and not any(character.isalnum() for character in spelling)


def bar(emissions: Tensor, texts: Sequence[Tokens], tags: Sequence[str]) -> Tensor:
    """Emissions [batch, time, tag] of which those of barred tags are `FORBIDDEN`; the same tensor where none is."""
    masks = [(b, mask) for b, tokens in enumerate(texts) if (mask := barred(tokens, tags)) is not None]
    if masks:
        emissions = emissions.clone()
        for b, mask in masks:
            emissions[b, : len(mask)].masked_fill_(torch.from_numpy(mask).to(emissions.device), FORBIDDEN)
    return emissions


def barred_tags(texts: Sequence[Tokens], tags: Sequence[str], time: int) -> NDArray[np.bool_] | None:
    """`barred` of a padded batch: [text, time, tag], or None where every tag is possible."""
    masks = [(b, mask) for b, tokens in enumerate(texts) if (mask := barred(tokens, tags)) is not None]
    if not masks:
        return None
    out = np.zeros((len(texts), time, len(tags)), np.bool_)
    for b, mask in masks:
        out[b, : len(mask)] = mask
    return out


def possible(path: Sequence[str], tokens: Tokens) -> list[str]:
    """The nearest path that the text allows: O where no entity can be or begin, B-X where one begins anew."""
    out: list[str] = []
    for t, tag in enumerate(path):
        before = out[-1] if out else "O"
        paragraph = tokens.gaps is not None and tokens.gaps[t] == EMPTY_LINE
        if tag.startswith("I-") and (before not in (f"B-{tag[2:]}", tag) or paragraph):
            tag = f"B-{tag[2:]}"
        if tokens.forms[t] in OUTSIDE or (tag.startswith("B-") and tokens.spellings and _is_mark(tokens.spellings[t])):
            tag = "O"
        out.append(tag)
    return out
