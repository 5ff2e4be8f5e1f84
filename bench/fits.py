"""How a cost grows: the exponent of a power law through measured points."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np

from .ratios import significant


@dataclass(frozen=True)
class Fit:
    """y ~ x^exponent, over the points whose x is from `first` to `last`.

    residual: root mean square of ln(y / fitted): 0.05 means about 5 %.
    """

    exponent: float
    residual: float
    first: float
    last: float

    def stored(self) -> dict[str, float]:
        rounded = {"exponent": significant(self.exponent, 3), "residual": significant(self.residual, 2)}
        return asdict(self) | rounded


def fit(points: Sequence[tuple[float, float]]) -> Fit:
    """Least squares on logarithms over the upper half of the points, at least three, where fixed costs matter least.

    Raises: ValueError for fewer than three points, or where x does not grow.
    """
    if len(points) < 3 or any(a >= b for (a, _), (b, _) in pairwise(points)):
        raise ValueError(f"{len(points)} points with x {[x for x, _ in points]}: give at least 3, by growing x")
    upper = points[min(len(points) // 2, len(points) - 3) :]
    x, y = np.log([p[0] for p in upper]), np.log([p[1] for p in upper])
    slope, intercept = np.polyfit(x, y, 1)
    residual = float(np.sqrt(np.mean((y - slope * x - intercept) ** 2)))
    return Fit(float(slope), residual, upper[0][0], upper[-1][0])
