"""What no entity may be, whatever the emissions: tags that a token cannot have are barred before decoding.

A web address, a mark-up tag, an emoji or a format character is part of no entity, and no entity crosses an empty line.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..text.tokenizers import OUTSIDE
from ..text.tokens import EMPTY_LINE, Tokens
from .crf import FORBIDDEN


def barred(tokens: Tokens, tags: Sequence[str]) -> NDArray[np.bool_] | None:
    """Which of the tags each token cannot have: [time, tag], or None where every tag is possible."""
    outside = [t for t, form in enumerate(tokens.forms) if form in OUTSIDE]
    begins = [t for t, gap in enumerate(tokens.gaps or ()) if gap == EMPTY_LINE and t]
    if not outside and not begins:
        return None
    out = np.zeros((len(tokens), len(tags)), np.bool_)
    out[outside] = [tag != "O" for tag in tags]
    out[begins] |= np.array([tag.startswith("I-") for tag in tags])
    return out


def bar(emissions: Tensor, texts: Sequence[Tokens], tags: Sequence[str]) -> Tensor:
    """Emissions [batch, time, tag] of which those of barred tags are `FORBIDDEN`; the same tensor where none is."""
    masks = [(b, mask) for b, tokens in enumerate(texts) if (mask := barred(tokens, tags)) is not None]
    if masks:
        emissions = emissions.clone()
        for b, mask in masks:
            emissions[b, : len(mask)].masked_fill_(torch.from_numpy(mask).to(emissions.device), FORBIDDEN)
    return emissions


def possible(path: Sequence[str], tokens: Tokens) -> list[str]:
    """The nearest path that the text allows: O where no entity can be, B-X where one has to begin anew."""
    out: list[str] = []
    for t, tag in enumerate(path):
        if tokens.forms[t] in OUTSIDE:
            tag = "O"
        elif tag.startswith("I-"):
            before = out[-1] if out else "O"
            if before not in (f"B-{tag[2:]}", tag) or (tokens.gaps and tokens.gaps[t] == EMPTY_LINE):
                tag = f"B-{tag[2:]}"
        out.append(tag)
    return out
