r"""What the LSTM's belt still carries: for each pair of timesteps, how much of what s put on it is left at t.

    c_t = (prod_{k<=t} f_k) c_0 + sum_{s<=t} A[t,s] i_s g_s          A[t,s] = prod_{k=s+1..t} f_k = exp(L_t - L_s)
    retention[t,s] = mean over units of A[t,s]                       L_t = sum_{k<=t} log f_k
    mass[t,s]      = sum over units of |A[t,s] i_s g_s|              log f = -softplus(-z_f)

The reverse direction reads from the text's end, so there t comes before s. Where s is not read yet: NaN.

Source: Murdoch & Szlam 2017; Levy et al. 2018.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ActivationsUnavailable
from ..recurrence.cells import TENSORS
from ..recurrence.layer import Direction
from .arrays import host

Measure = Literal["retention", "mass"]
Values = NDArray[np.float64]


def memory(
    recorded: Mapping[str, Tensor],
    direction: Direction,
    timesteps: Sequence[int],
    units: Sequence[int] | None = None,
    measures: Sequence[Measure] = ("retention", "mass"),
) -> dict[Measure, Values]:
    """Rows t and columns s of one text, in one layer and direction; float64 [len(timesteps), len(timesteps)].

    Args:   recorded: tensor name -> [time, unit] in reading order, padding cut off; timesteps ascending: the products
            still run over every step between; units: averaged or summed over, all if None.
    Raises: ActivationsUnavailable: an RNN has no belt.

    Memory is len(timesteps) * len(units); the T x T x U products never stand there at once.
    """
    if "forget_gate" not in recorded:
        raise ActivationsUnavailable("forget_gate", TENSORS["rnn"])
    backwards = slice(None, None, -1 if direction == "reverse" else 1)  # into the order in which the text is read
    at = list(timesteps)[backwards]
    chosen = slice(None) if units is None else list(units)
    z = host(recorded["forget_gate_preactivation"])[:, chosen].astype(np.float64)
    kept = np.cumsum(log_forget(z)[backwards], axis=0)[backwards][at]
    deposit = np.abs(_of(recorded, "input_gate", at, chosen) * _of(recorded, "cell_gate", at, chosen))
    out = {name: np.full((len(at), len(at)), np.nan) for name in measures}
    left = np.ones_like(kept)  # A[t, s] of this row t: [s, unit]
    for row in range(len(at)):
        if row:
            left[:row] *= np.exp(kept[row] - kept[row - 1])
        if "retention" in out:
            out["retention"][row, : row + 1] = left[: row + 1].mean(1)
        if "mass" in out:
            out["mass"][row, : row + 1] = np.einsum("su,su->s", left[: row + 1], deposit[: row + 1])
    return {name: values[backwards, backwards] for name, values in out.items()}


def log_forget(z_f: Values) -> Values:
    """log sigmoid(z) = -softplus(-z), exact where the gate itself has rounded to 0 or 1."""
    return -np.logaddexp(0.0, -z_f)


def _of(recorded: Mapping[str, Tensor], name: str, at: Sequence[int], chosen: slice | list[int]) -> Values:
    return host(recorded[name])[at][:, chosen].astype(np.float64)
