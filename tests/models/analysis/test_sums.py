"""The sum behind a gate is the gate: against torch's own cell, and against what an inspection shows."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch

from models.analysis.sums import gate_sums
from models.checkpoint.checkpoint import Checkpoint
from models.inference.analyst import Analyst
from models.inference.inspection import Inspection, Timesteps
from models.inference.predictor import Predictor
from models.recurrence.cells import PREACTIVATED, CellWeights

TEXT = "酒店不错服务很好"


def test_the_terms_add_up_to_torchs_own_cell() -> None:
    torch.manual_seed(1)
    cell = torch.nn.LSTMCell(5, 3).double()
    weights = CellWeights(cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
    x, h, c = torch.randn(5).double(), torch.randn(3).double(), torch.randn(3).double()
    with torch.inference_mode():
        next_h, next_c = (state[0].numpy() for state in cell(x[None], (h[None], c[None])))
        for unit in range(3):
            sums = gate_sums("lstm", weights, unit, x.numpy(), h.numpy())
            value = {gate: sums[gate].value for gate in PREACTIVATED["lstm"]}
            belt = value["forget_gate"] * float(c[unit]) + value["input_gate"] * value["cell_gate"]
            assert belt == pytest.approx(next_c[unit], abs=1e-12)
            assert value["output_gate"] * np.tanh(belt) == pytest.approx(next_h[unit], abs=1e-12)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@pytest.mark.parametrize("directions", [("forward",), ("forward", "reverse")])
def test_the_sums_are_the_gates_that_an_inspection_shows(
    tiny_checkpoint: Callable[..., Checkpoint], cell: str, directions: tuple[str, ...]
) -> None:
    reads = "last_state" if len(directions) == 1 else "mean_max"
    checkpoint = tiny_checkpoint(cell=cell, layers=2, directions=directions, reads=reads)
    predictor = Predictor(checkpoint, torch.device("cpu"))
    (shown,) = predictor.predict([TEXT], Inspection(preactivations=True))
    assert shown.inside
    tensors, analyst, text = shown.inside.tensors, Analyst(predictor), predictor.prepare(TEXT)
    for layer, (d, direction), t in product(range(2), enumerate(directions), range(len(text))):
        sums = analyst.gate_sums(text, analyst.select(text, layer, direction, Timesteps(t, t + 1), [4]))
        for gate, found in sums.items():
            assert found.value == pytest.approx(tensors[gate][layer, d, t, 4], abs=3e-6)
            assert found.preactivation == pytest.approx(tensors[f"{gate}_preactivation"][layer, d, t, 4], abs=1e-5)
            terms = [term for part in (found.input, found.state) for term in part.largest]
            assert all(term.weight * term.value == term.product for term in terms)
            assert sum(term.product for term in terms) + found.bias == pytest.approx(found.preactivation, abs=1e-12)


def test_what_is_not_shown_one_by_one_is_the_rest(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    predictor = Predictor(tiny_checkpoint(), torch.device("cpu"))
    analyst, text = Analyst(predictor), predictor.prepare(TEXT)
    selection = analyst.select(text, 0, "forward", Timesteps(3, 4), [2])
    whole, some, none = (analyst.gate_sums(text, selection, shown)["forget_gate"].state for shown in (None, 3, 0))
    assert (len(whole.largest), len(some.largest), len(none.largest)) == (7, 3, 0)
    assert some.largest == whole.largest[:3]
    assert [abs(t.product) for t in whole.largest] == sorted((abs(t.product) for t in whole.largest), reverse=True)
    assert some.rest == pytest.approx(sum(t.product for t in whole.largest[3:]), abs=1e-12)
    assert (whole.rest, none.rest) == (0, pytest.approx(whole.total))
