r"""The lecture's two cells, one step each, as equations. The oracle of everything faster in this package.

The lecture's letters: U = ``weight_ih``, W = ``weight_hh``, S_t = ``hidden_state``; V is the head's weight.
Works in any floating dtype; `models.recurrence.certificate` and the tests run it in float64.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..errors import ModelError

Cell = Literal["rnn", "lstm"]

GATES = ("input_gate", "forget_gate", "cell_gate", "output_gate")  # PyTorch's order of rows in weight_ih, weight_hh
TENSORS: dict[str, tuple[str, ...]] = {
    "rnn": ("hidden_state",),
    "lstm": ("hidden_state", "cell_state", *GATES),
}
PREACTIVATED: dict[str, tuple[str, ...]] = {"rnn": ("hidden_state",), "lstm": GATES}
TANH_TENSORS = ("hidden_state", "cell_gate")  # in [-1, 1]; the sigmoid gates are in [0, 1], cell_state is unbounded


class ShapeError(ModelError):
    def __init__(self, tensor: str, expected: tuple[int, ...], found: tuple[int, ...]) -> None:
        self.tensor, self.expected, self.found = tensor, expected, found
        super().__init__(f"{tensor} has shape {list(found)}, expected {list(expected)}")


@dataclass(frozen=True)
class CellWeights:
    """One layer's weights in one direction, in PyTorch's shapes.

    weight_ih [gates * unit, input], weight_hh [gates * unit, unit], bias_ih and bias_hh [gates * unit];
    gates is 4 for an LSTM (rows in the order of `GATES`) and 1 for an RNN.
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor
    bias_hh: Tensor

    @property
    def units(self) -> int:
        return int(self.weight_hh.shape[1])

    def to(self, dtype: torch.dtype) -> "CellWeights":
        return CellWeights(*(w.to(dtype) for w in (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)))

    def preactivation(self, x: Tensor, hidden_state: Tensor) -> Tensor:
        """z = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh, for any number of leading axes: [..., gates * unit]."""
        if x.shape[-1] != self.weight_ih.shape[1]:
            raise ShapeError("the input", (*x.shape[:-1], int(self.weight_ih.shape[1])), tuple(x.shape))
        z = torch.addmm(self.bias_ih + self.bias_hh, x.reshape(-1, x.shape[-1]), self.weight_ih.T)
        z = z.addmm_(hidden_state.reshape(-1, self.units), self.weight_hh.T)  # in place, because z is large
        return z.view(*x.shape[:-1], z.shape[1])


class LstmStep(NamedTuple):
    """The states and gates after one LSTM step, each [batch, unit]."""

    hidden_state: Tensor
    cell_state: Tensor
    input_gate: Tensor
    forget_gate: Tensor
    cell_gate: Tensor
    output_gate: Tensor


def rnn_step(x: Tensor, hidden_state: Tensor, weights: CellWeights) -> Tensor:
    r"""One step of the vanilla RNN, the lecture's S_t = f(U x_t + W S_{t-1}).

    h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)

    Args:    x [batch, input], the embedding of token t; hidden_state [batch, unit], h_{t-1}.
    Returns: h_t [batch, unit], in [-1, 1].
    Raises:  ShapeError, naming the expected and the found shape.
    Source:  Elman 1990; equality with torch.nn.RNNCell shown in tests/models/recurrence/test_cells.py.
    """
    return torch.tanh(weights.preactivation(x, hidden_state))


def lstm_step(x: Tensor, state: tuple[Tensor, Tensor], weights: CellWeights) -> LstmStep:
    r"""One LSTM step: the gates at token t, and the new states.

    i, f, o = sigmoid(z_i, z_f, z_o)   g = tanh(z_g)
    c_t = f * c_{t-1} + i * g          h_t = o * tanh(c_t)

    Args:    x [batch, input], the embedding of token t; state (h_{t-1}, c_{t-1}), each [batch, unit].
    Returns: gates in [0, 1]; cell_gate and hidden_state in [-1, 1]; cell_state unbounded.
    Raises:  ShapeError, naming the expected and the found shape.
    Source:  Hochreiter & Schmidhuber 1997, the forget gate Gers et al. 2000; equality with torch.nn.LSTMCell shown in
             tests/models/recurrence/test_cells.py.
    """
    hidden_state, cell_state = state
    z_i, z_f, z_g, z_o = weights.preactivation(x, hidden_state).chunk(4, dim=-1)
    i, f, g, o = torch.sigmoid(z_i), torch.sigmoid(z_f), torch.tanh(z_g), torch.sigmoid(z_o)
    c = f * cell_state + i * g
    return LstmStep(o * torch.tanh(c), c, i, f, g, o)
