r"""One layer in one direction: the seam behind which a faster recurrence can stand.

`Recurrence.run` gives h_1..h_T; `Recurrence.activations` gives what happened on the way. Here both rest on torch's
fused kernels, which hide their gates; the gates come back exactly by replay. With H_prev = [h_0, ..., h_{T-1}] known,

    Z = X W_ih^T + H_prev W_hh^T + b_ih + b_hh        one product for all timesteps
    i, f, o = sigmoid(Z_i, Z_f, Z_o)   g = tanh(Z_g)
    c_t = f_t * c_{t-1} + i_t * g_t                   an elementwise scan, no product inside

Timesteps are in reading order in both directions. The reverse direction starts at each text's own last token: the
texts are flipped by their lengths, run forward and flipped back, for running over padding would change every state.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from .cells import GATES, Cell, CellWeights

Direction = Literal["forward", "reverse"]
LayerActivations = dict[str, Tensor]  # tensor name -> float32 [batch, time, unit], reading order


def flip(x: Tensor, lengths: Tensor) -> Tensor:
    """Each text's timesteps back to front, padding left where it is: [batch, time, ...] -> the same."""
    if x.shape[0] == 1:
        return x.flip(1)  # no padding, and a fraction of the time
    time = torch.arange(x.shape[1], device=x.device)
    index = torch.where(time < lengths[:, None], lengths[:, None] - 1 - time, time)
    return x[torch.arange(x.shape[0], device=x.device)[:, None], index]


def beyond(lengths: Tensor, time: int) -> Tensor:
    """Where each text has ended: bool [batch, time, 1]."""
    return (torch.arange(time, device=lengths.device) >= lengths[:, None])[:, :, None]


class Recurrence(nn.Module):
    """An RNN or LSTM of one layer and one direction."""

    def __init__(self, cell: Cell, input_size: int, units: int, direction: Direction) -> None:
        super().__init__()
        self.cell, self.direction, self.units = cell, direction, units
        kind = nn.LSTM if cell == "lstm" else nn.RNN
        self.kernel = kind(input_size, units, batch_first=True)

    @property
    def weights(self) -> CellWeights:
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        return CellWeights(*(self.kernel.get_parameter(name) for name in names))

    def reset(self) -> None:
        """Orthogonal W_hh, uniform W_ih, zero biases but for the forget gate's, which starts open at 1."""
        w = self.weights
        nn.init.xavier_uniform_(w.weight_ih)
        for block in torch.split(w.weight_hh.data, self.units):
            nn.init.orthogonal_(block)
        nn.init.zeros_(w.bias_ih)
        nn.init.zeros_(w.bias_hh)
        if self.cell == "lstm":
            w.bias_ih.data[self.units : 2 * self.units] = 1.0

    def run(self, x: Tensor, lengths: Tensor) -> Tensor:
        """h_t of every timestep, from a zero state.

        Args:    x [batch, time, input]; lengths int64 [batch], of which what lies beyond is padding.
        Returns: [batch, time, unit] in reading order; what stands in padding has no meaning.
        """
        if self.direction == "reverse":
            return flip(self.kernel(flip(x, lengths))[0], lengths)
        out: Tensor = self.kernel(x)[0]
        return out

    def activations(self, x: Tensor, hidden_state: Tensor, lengths: Tensor) -> LayerActivations:
        """Every state, gate and preactivation of a pass, by replay.

        Args:    x and lengths as in `run`; hidden_state what `run` gave for them.
        Returns: `cells.TENSORS` of the cell and ``{gate}_preactivation`` of each gate (RNN: of the state), all
                 [batch, time, unit] in reading order.
        """
        z = self.weights.preactivation(x, self._previous(hidden_state, lengths))
        if self.cell == "rnn":
            return {"hidden_state": hidden_state, "hidden_state_preactivation": z}
        return {"hidden_state": hidden_state, **self._lstm(z, lengths)}

    def _previous(self, states: Tensor, lengths: Tensor) -> Tensor:
        """The state that each step came from, zero where its reading began."""
        if self.direction == "forward":
            return nn.functional.pad(states[:, :-1], (0, 0, 1, 0))
        return nn.functional.pad(states[:, 1:], (0, 0, 0, 1)).masked_fill(beyond(lengths - 1, states.shape[1]), 0.0)

    def _lstm(self, z: Tensor, lengths: Tensor) -> LayerActivations:
        z_i, z_f, z_g, z_o = z.chunk(4, dim=-1)
        i, f, g, o = torch.sigmoid(z_i), torch.sigmoid(z_f), torch.tanh(z_g), torch.sigmoid(z_o)
        cell_state = i * g
        if self.direction == "reverse":  # nothing is on the belt before a text's own last token
            cell_state.masked_fill_(beyond(lengths, z.shape[1]), 0.0)
        # In place: i_t * g_t is there, f_t * c_{t-1} joins it. Views are made once: one costs as much as a step.
        order = -1 if self.direction == "reverse" else 1
        c, forget = cell_state.unbind(1)[::order], f.unbind(1)[::order]
        for t in range(1, len(c)):
            c[t].addcmul_(forget[t], c[t - 1])
        gates = dict(zip(GATES, (i, f, g, o), strict=True))
        before = {f"{name}_preactivation": v for name, v in zip(GATES, (z_i, z_f, z_g, z_o), strict=True)}
        return {"cell_state": cell_state, **gates, **before}
