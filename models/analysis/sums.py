"""The sum behind each gate of one unit at one step, term by term: z = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..recurrence.cells import PREACTIVATED, TANH_TENSORS, Cell, CellWeights
from .arrays import host


@dataclass(frozen=True)
class Term:
    """One weight and the value that it multiplies; index is that of the value in x_t or h_{t-1}."""

    index: int
    weight: float
    value: float
    product: float


@dataclass(frozen=True)
class Terms:
    """total: the sum of all `count` products; largest: of the greatest size, largest first; rest: the others' sum."""

    count: int
    total: float
    largest: list[Term]
    rest: float


@dataclass(frozen=True)
class GateSum:
    """preactivation = input.total + state.total + bias; value = sigmoid or tanh of it."""

    input: Terms
    state: Terms
    bias: float
    preactivation: float
    value: float


def gate_sums(
    cell: Cell,
    weights: CellWeights,
    unit: int,
    x: NDArray[np.floating],
    hidden_state: NDArray[np.floating],
    shown: int | None = None,
) -> dict[str, GateSum]:
    """Of each gate (of an RNN: of its state) the sum of one unit, in float64 from the weights as they are stored.

    x [input], the layer's input at the step; hidden_state [unit], that of the step before in the direction of reading;
    shown: how many terms of x and of the state stand one by one, None: all.
    """
    units = weights.units
    sums = {}
    for n, gate in enumerate(PREACTIVATED[cell]):
        row = n * units + unit
        from_input = _terms(host(weights.weight_ih[row]), x, shown)
        from_state = _terms(host(weights.weight_hh[row]), hidden_state, shown)
        bias = float(weights.bias_ih[row].double() + weights.bias_hh[row].double())
        z = from_input.total + from_state.total + bias
        value = np.tanh(z) if gate in TANH_TENSORS else 1 / (1 + np.exp(-z))
        sums[gate] = GateSum(from_input, from_state, bias, z, float(value))
    return sums


def _terms(weights: NDArray[np.floating], values: NDArray[np.floating], shown: int | None) -> Terms:
    w, v = np.asarray(weights, np.float64), np.asarray(values, np.float64)
    products = w * v
    order = np.argsort(-np.abs(products), kind="stable")
    first, rest = order[:shown], order[len(order) if shown is None else shown :]
    largest = [Term(int(n), float(w[n]), float(v[n]), float(products[n])) for n in first]
    return Terms(len(products), float(products.sum()), largest, float(products[rest].sum()))
