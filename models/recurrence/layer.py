r"""One layer in one direction, on torch's kernels.

`Recurrence.run` returns h_1..h_T; `Recurrence.activations` returns every gate and state. Torch's fused kernels do not
return their gates, so these are recomputed exactly from the states ("replay"). With H_prev = [h_0, ..., h_{T-1}] known,

    Z = X W_ih^T + H_prev W_hh^T + b_ih + b_hh        one product for all timesteps
    i, f, o = sigmoid(Z_i, Z_f, Z_o)   g = tanh(Z_g)
    c_t = f_t * c_{t-1} + i_t * g_t                   an elementwise scan without matrix products

Timesteps are in reading order in both directions. The reverse direction starts at each text's own last token: the
texts are flipped by their lengths, run forward and flipped back, because reading the padding first would change every
state.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from .cells import GATES, Cell, CellWeights

Direction = Literal["forward", "reverse"]
LayerActivations = dict[str, Tensor]  # tensor name -> float32 [batch, time, unit], reading order
State = tuple[Tensor, Tensor | None]  # (h, c) before a first step, each [batch, unit]; an RNN has no c


def flip(x: Tensor, lengths: Tensor) -> Tensor:
    """Each text's timesteps in reverse order, padding left in place: [batch, time, ...] -> the same shape."""
    if x.shape[0] == 1:
        return x.flip(1)  # no padding; much faster than indexing
    time = torch.arange(x.shape[1], device=x.device)
    index = torch.where(time < lengths[:, None], lengths[:, None] - 1 - time, time)
    return x[torch.arange(x.shape[0], device=x.device)[:, None], index]


def padding_mask(lengths: Tensor, time: int) -> Tensor:
    """True at timesteps after a text's end: bool [batch, time, 1]."""
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
        """Orthogonal W_hh, uniform W_ih, zero biases; but the forget gate's is 1, so that the gate starts open."""
        weights = self.weights
        nn.init.xavier_uniform_(weights.weight_ih)
        for block in torch.split(weights.weight_hh.data, self.units):
            nn.init.orthogonal_(block)
        nn.init.zeros_(weights.bias_ih)
        nn.init.zeros_(weights.bias_hh)
        if self.cell == "lstm":
            weights.bias_ih.data[self.units : 2 * self.units] = 1.0

    def run(self, x: Tensor, lengths: Tensor, initial: State | None = None) -> Tensor:
        """h_t of every timestep, from the state `initial`, zero by default; only the forward direction has another.

        Args:    x [batch, time, input]; lengths int64 [batch]: timesteps after a text's length are padding.
        Returns: [batch, time, unit] in reading order; values in the padding have no meaning.
        """
        if self.direction == "reverse":
            return flip(self.kernel(flip(x, lengths))[0], lengths)
        out: Tensor = self.kernel(x, _torch_state(initial))[0]
        return out

    def activations(
        self, x: Tensor, hidden_state: Tensor, lengths: Tensor, initial: State | None = None
    ) -> LayerActivations:
        """Every state, gate and preactivation of a pass, by replay.

        Args:    x, lengths and initial as in `run`; hidden_state, what `run` returned for them.
        Returns: `cells.TENSORS` of the cell and ``{gate}_preactivation`` of each gate (RNN: of the state), all
                 [batch, time, unit] in reading order.
        """
        h, c = initial or (None, None)
        z = self.weights.preactivation(x, self._previous(hidden_state, lengths, h))
        if self.cell == "rnn":
            return {"hidden_state": hidden_state, "hidden_state_preactivation": z}
        return {"hidden_state": hidden_state, **self._lstm(z, lengths, c)}

    def _previous(self, states: Tensor, lengths: Tensor, first: Tensor | None) -> Tensor:
        """The state before each step in the direction of reading; before the first step `first`, zero by default."""
        if first is not None:
            return torch.cat([first[:, None], states[:, :-1]], dim=1)
        if self.direction == "forward":
            return nn.functional.pad(states[:, :-1], (0, 0, 1, 0))
        previous = nn.functional.pad(states[:, 1:], (0, 0, 0, 1))
        return previous.masked_fill(padding_mask(lengths - 1, states.shape[1]), 0.0)

    def _lstm(self, z: Tensor, lengths: Tensor, first: Tensor | None) -> LayerActivations:
        z_i, z_f, z_g, z_o = z.chunk(4, dim=-1)
        i, f, g, o = torch.sigmoid(z_i), torch.sigmoid(z_f), torch.tanh(z_g), torch.sigmoid(z_o)
        cell_state = i * g
        if self.direction == "reverse":  # the cell state is zero before a text's own last token
            cell_state.masked_fill_(padding_mask(lengths, z.shape[1]), 0.0)
        # In place: cell_state holds i_t * g_t, and f_t * c_{t-1} is added. The views are made before the loop, because
        # making one costs as much as a step.
        order = -1 if self.direction == "reverse" else 1
        c, forget = cell_state.unbind(1)[::order], f.unbind(1)[::order]
        if first is not None:
            c[0].addcmul_(forget[0], first)
        for t in range(1, len(c)):
            c[t].addcmul_(forget[t], c[t - 1])
        gates = dict(zip(GATES, (i, f, g, o), strict=True))
        preactivations = {f"{name}_preactivation": z for name, z in zip(GATES, (z_i, z_f, z_g, z_o), strict=True)}
        return {"cell_state": cell_state, **gates, **preactivations}


def _torch_state(state: State | None) -> Tensor | tuple[Tensor, Tensor] | None:
    """As torch's modules take it: [layer, batch, unit], an RNN's alone, an LSTM's as a pair."""
    if state is None:
        return None
    h, c = state
    return h[None] if c is None else (h[None], c[None])
