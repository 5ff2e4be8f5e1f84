r"""What an attribution says: how much each token gave to one logit, and how far that can be trusted.

Adding up is no evidence: a method may hand out +25 and -25 where nothing hangs on either token. So every answer carries
its completeness error (what is missing from the sum) and its inflation (how much it hands out beside what there is to
explain); which tokens really matter is measured by `models.analysis.faithfulness`.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Positions = Literal["tokens", "top_layer_input"]
INFLATED = 30.0  # from here on an answer carries a warning
_SMALLEST = 0.1  # of what there is to explain: below it the ratio says more about the logit than about the method


@dataclass(frozen=True)
class Output:
    """The number that is explained: the logit of label `index` or, of a tagger, of tag `index` at `timestep`."""

    index: int
    timestep: int | None = None


@dataclass(frozen=True)
class Attribution:
    """One text's. contributions float64 [time]; bias: the logit of nothing read, None where the method has none.

    positions: what an index of contributions stands for: a token, or the top layer's input at its place, which in
    stacked and bidirectional models other tokens have entered too.
    nodes: points of the path at which integrated gradients were taken. standard_error [time]: of an
    estimate from samples; permutations: how many orders those are.
    """

    method: str
    output: Output
    contributions: NDArray[np.float64]
    bias: float | None
    logit: float
    positions: Positions = "tokens"
    nodes: int | None = None
    permutations: int | None = None
    standard_error: NDArray[np.float64] | None = field(default=None, repr=False)

    @property
    def completeness_error(self) -> float:
        """|sum of contributions + bias - logit|"""
        return abs(float(self.contributions.sum()) + (self.bias or 0.0) - self.logit)

    @property
    def inflation(self) -> float:
        """sum of |contributions| / max(|logit - bias|, 0.1): 1 where all tokens speak for the same."""
        return float(np.abs(self.contributions).sum()) / max(abs(self.logit - (self.bias or 0.0)), _SMALLEST)

    @property
    def warning(self) -> str | None:
        """A sentence where the contributions cancel so much that their sizes say little; else None."""
        if self.inflation <= INFLATED:
            return None
        return (
            f"the contributions by {self.method} add up to {self.inflation:.3g} times what they explain (over "
            f"{INFLATED:.0f}): they cancel one another, so their sizes are no evidence; compare with another method"
        )


@dataclass(frozen=True)
class Options:
    """What a method can be asked for beside its output.

    permutations: of shapley, even; wanted_error: of shapley, the largest standard error of a token at which it stops.
    """

    permutations: int | None = None
    wanted_error: float | None = None

    @property
    def given(self) -> tuple[str, ...]:
        return tuple(name for name, value in vars(self).items() if value is not None)
