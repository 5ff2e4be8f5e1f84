r"""What many timesteps come to, unit by unit, on the selection shown: axes [layer][direction][timestep][unit].

norm          sqrt(sum_u v^2)                                        -> [layer][direction][timestep]
mean          mean_t v                                               -> [layer][direction][unit], as all that follow
saturation    share of timesteps below 0.1 and above 0.9 (-0.9 for what a tanh gives; Karpathy et al. 2015)
half_life     ln 2 / -mean_t(log f), in tokens: when a unit has forgotten half (mathematics: c decays as prod f)
phases        share of timesteps in which f and i are on either side of 1/2
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..recurrence.cells import TANH_TENSORS

Values = NDArray[np.float32]
Reduced = dict[str, dict[str, NDArray[np.float64]]]  # tensor name, or "phases" -> field -> values


def reduce(shown: Mapping[str, Values], kinds: Sequence[str], gates: Mapping[str, Values]) -> Reduced:
    """The reductions asked, of every tensor in `shown`.

    gates: where phases are asked, it has ``forget_gate`` and ``input_gate``, shown or not.
    A unit that never forgets has an infinite half-life.
    """
    out: Reduced = {name: _of_one(name, values.astype(np.float64), kinds) for name, values in shown.items()}
    if "phases" in kinds:
        out["phases"] = phases(gates["forget_gate"], gates["input_gate"])
    return out


def _of_one(name: str, values: NDArray[np.float64], kinds: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    out: dict[str, NDArray[np.float64]] = {}
    if "mean" in kinds:
        out["mean"] = values.mean(axis=2)
    if "saturation" in kinds and name != "cell_state":  # which has no bounds to be near
        out["fraction_low"] = (values < (-0.9 if name in TANH_TENSORS else 0.1)).mean(axis=2)
        out["fraction_high"] = (values > 0.9).mean(axis=2)
    if "norm" in kinds:
        out["norm"] = np.sqrt((values**2).sum(axis=3))
    if "half_life" in kinds and name == "forget_gate":
        out["half_life_tokens"] = half_life(values)
    return out


def half_life(forget_gate: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln 2 / -mean_t(log f) over the timestep axis, in tokens; 0 where the gate was shut, inf where it never closes."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(2) / np.abs(np.log(forget_gate).mean(axis=2)))  # not -: ln 2 / -0.0 is minus infinity


def phases(forget_gate: Values, input_gate: Values) -> dict[str, NDArray[np.float64]]:
    """The share of timesteps that each unit spends holding, accumulating, overwriting and erasing; they sum to 1."""
    keeps, writes = forget_gate >= 0.5, input_gate >= 0.5
    kinds = {
        "hold": keeps & ~writes,
        "accumulate": keeps & writes,
        "overwrite": ~keeps & writes,
        "erase": ~keeps & ~writes,
    }
    return {name: np.asarray(where.mean(axis=2)) for name, where in kinds.items()}
