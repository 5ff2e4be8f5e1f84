r"""Do the tokens that a method ranks highest make the label? Measured by leaving them out, and by reading them alone.

With m the margin, the label's logit minus the largest other, and R_k the share k of the tokens that is ranked highest
(at least one, rounded up; contributions of the label's logit, the largest first),

    comprehensiveness = mean over k of  m(text) - m(text without R_k)       what is lost without them
    sufficiency       = mean over k of  m(R_k alone) - m(text)              what they keep by themselves

over k of 1, 5, 10, 20 and 50 %; of both, more is better (DeYoung et al. state sufficiency with the other sign). The
deletion curve is the mean of m(text without R_k), the insertion curve that of m(R_k alone), k from 0 to 100 %.

Source: DeYoung et al. 2020 (AOPC over these k); curves as in Petsiuk et al. 2018.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from .attribution import Output
from .subject import TextRuns

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)
CURVE = tuple(n / 10 for n in range(11))
EXHAUSTIVE_TOKENS = 10  # of a text of which every subset is read
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Faithfulness:
    """Of one text and one order of its tokens, in logits. deletion and insertion [len(CURVE)]."""

    comprehensiveness: float
    sufficiency: float
    deletion: Values
    insertion: Values


def faithfulness(runs: TextRuns, output: Output, scores: Values) -> Faithfulness:
    """scores [time]: the order in which tokens are left out, or read alone, is from the largest down."""
    order = np.argsort(-scores, kind="stable").tolist()
    counts = [_count(share, len(order)) for share in SHARES]
    curve = [round(share * len(order)) for share in CURVE]
    kept = [sorted(order[n:]) for n in (*counts, *curve)] + [sorted(order[:n]) for n in (*counts, *curve)]
    without, alone = _margins(runs, output, kept).reshape(2, -1)
    whole = float(without[len(counts)])  # the curve begins with nothing left out
    return Faithfulness(
        float((whole - without[: len(counts)]).mean()),
        float((alone[: len(counts)] - whole).mean()),
        without[len(counts) :],
        alone[len(counts) :],
    )


def best_subsets(runs: TextRuns, output: Output) -> Faithfulness:
    """What no order can beat: for each share the best subset of its size, found among all of them.

    Raises: OptionError for a text of more than `EXHAUSTIVE_TOKENS`.
    """
    length = len(runs)
    if length > EXHAUSTIVE_TOKENS:
        raise OptionError(f"the text has {length} tokens: every subset is read of {EXHAUSTIVE_TOKENS} at most")
    every = [kept for n in range(length + 1) for kept in itertools.combinations(range(length), n)]
    margin = dict(zip(every, _margins(runs, output, every).tolist(), strict=True))
    sizes = range(length + 1)
    least = [min(m for kept, m in margin.items() if len(kept) == length - n) for n in sizes]  # n are left out
    most = [max(m for kept, m in margin.items() if len(kept) == n) for n in sizes]
    whole, counts = least[0], [_count(share, length) for share in SHARES]
    curve = [round(share * length) for share in CURVE]
    return Faithfulness(
        float(np.mean([whole - least[n] for n in counts])),
        float(np.mean([most[n] - whole for n in counts])),
        np.array([least[n] for n in curve]),
        np.array([most[n] for n in curve]),
    )


def _count(share: float, length: int) -> int:
    return max(1, math.ceil(share * length))


def _margins(runs: TextRuns, output: Output, kept: Sequence[Sequence[int]]) -> Values:
    """m of the text with only these tokens left: [kept]."""
    logits = runs.outputs_of_kept(kept, output.timestep)
    others = np.delete(logits, output.index, axis=1).max(1)
    margins: Values = logits[:, output.index] - others
    return margins
