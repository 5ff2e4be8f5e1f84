"""The lecture's equations against torch's own cells."""

import pytest
import torch

from models.recurrence.cells import CellWeights, ShapeError, lstm_step, rnn_step


def weights_of(cell: torch.nn.RNNCellBase) -> CellWeights:
    return CellWeights(cell.weight_ih.detach(), cell.weight_hh.detach(), cell.bias_ih.detach(), cell.bias_hh.detach())


@pytest.mark.parametrize("batch", [1, 4])
def test_steps_equal_torchs_cells(batch: int) -> None:
    torch.manual_seed(1)
    x, h, c = (torch.randn(batch, n, dtype=torch.float64) for n in (5, 7, 7))
    lstm, rnn = torch.nn.LSTMCell(5, 7).double(), torch.nn.RNNCell(5, 7).double()
    want_h, want_c = lstm(x, (h, c))
    step = lstm_step(x, (h, c), weights_of(lstm))
    assert torch.allclose(step.hidden_state, want_h, atol=1e-14)
    assert torch.allclose(step.cell_state, want_c, atol=1e-14)
    assert torch.allclose(step.output_gate * step.cell_state.tanh(), want_h, atol=1e-14)
    assert torch.allclose(rnn_step(x, h, weights_of(rnn)), rnn(x, h), atol=1e-14)


def test_a_wrong_shape_names_what_was_expected_and_found() -> None:
    with pytest.raises(ShapeError, match=r"\[2, 4\], expected \[2, 5\]"):
        rnn_step(torch.zeros(2, 4), torch.zeros(2, 7), weights_of(torch.nn.RNNCell(5, 7)))
