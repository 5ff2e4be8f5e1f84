"""Exact decompositions and gradients against closed forms, autograd and a second look in float64."""

import numpy as np
import pytest
import torch

from models.analysis.attribution import Attribution
from models.analysis.methods import attribute
from models.analysis.precise import precisely
from models.errors import OptionError
from models.network.network import Classifier, Tagger
from tests.models.analysis.networks import BOTH, KINDS, UNITS, Kind, inputs, logit, make, recorded, subject_of

LENGTHS, TARGETS, AT = (5, 8, 1), [0, 3, 2], [2, 7, 0]
LSTMS = [k for k in KINDS if k.cell == "lstm"]


def attributed(kind: Kind, method: str, dtype: torch.dtype = torch.float64) -> list[Attribution]:
    network, (x, _) = make(kind, seed=4, dtype=dtype), inputs(*LENGTHS, seed=4, dtype=dtype)
    return [
        attribute(subject_of(network, x[b, :length], target, at if kind.read == "tagger" else None), method)
        for b, (length, target, at) in enumerate(zip(LENGTHS, TARGETS, AT, strict=True))
    ]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_secant_contributions_and_bias_are_the_logit(kind: Kind) -> None:
    for found, length in zip(attributed(kind, "secant"), LENGTHS, strict=True):
        assert found.contributions.shape == (length,)
        assert found.positions == "tokens"
        assert found.bias is not None
        assert abs(found.contributions.sum() + found.bias - found.logit) < 1e-9
        assert found.completeness_error < 1e-9


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_secant_in_float32_is_that_of_float64(kind: Kind) -> None:
    exact = attributed(kind, "secant")
    for found, want in zip(attributed(kind, "secant", torch.float32), exact, strict=True):
        assert found.completeness_error < 1e-4 * max(1, abs(found.logit))
        assert np.abs(found.contributions - want.contributions).max() < 2e-4 * max(1, np.abs(want.contributions).max())


@pytest.mark.parametrize("kind", LSTMS, ids=str)
def test_cell_additive_contributions_and_the_heads_bias_are_the_logit(kind: Kind) -> None:
    for found in attributed(kind, "cell_additive"):
        assert found.completeness_error < 1e-9
        alone = kind.layers == 1 and kind.directions == ("forward",)
        assert found.positions == ("tokens" if alone else "top_layer_input")


def test_cell_additive_is_its_closed_form() -> None:
    """w . (o_T rho(c_T) A[T,s] i_s g_s), with A the product of the forget gates after s."""
    network, (x, lengths) = make(Kind("lstm", ("forward",), 1, "last_state")), inputs(7)
    _, activations = recorded(network, x, lengths)
    found = attribute(subject_of(network, x[0], 2), "cell_additive")
    v = {name: value[0].numpy() for name, value in activations[0][0].items()}
    c = v["cell_state"][-1]
    for s in range(7):
        left = np.prod(v["forget_gate"][s + 1 :], axis=0)
        deposit = v["input_gate"][s] * v["cell_gate"][s]
        want = network.head.weight[2].numpy() @ (v["output_gate"][-1] * np.tanh(c) / c * left * deposit)
        assert abs(found.contributions[s] - want) < 1e-14


def test_cell_additive_of_an_rnn_is_refused() -> None:
    with pytest.raises(OptionError, match="this model is an RNN"):
        attributed(Kind("rnn", ("forward",), 1, "last_state"), "cell_additive")


@pytest.mark.parametrize("kind", [k for k in KINDS if k.layers == 2], ids=str)
def test_gradient_x_input_is_autograds(kind: Kind) -> None:
    found = attributed(kind, "gradient_x_input")
    network, (x, _) = make(kind, seed=4), inputs(*LENGTHS, seed=4)
    for b, length in enumerate(LENGTHS):
        alone = x[b, :length].clone().requires_grad_()
        value = logit(network, alone, TARGETS[b], AT[b] if kind.read == "tagger" else None)
        (gradient,) = torch.autograd.grad(value, alone)
        assert np.abs(found[b].contributions - (gradient * alone).sum(1).detach().numpy()).max() < 1e-12
        assert found[b].bias is None
        assert abs(found[b].completeness_error - abs(found[b].contributions.sum() - found[b].logit)) < 1e-12


@pytest.mark.parametrize("kind", [k for k in KINDS if k.read == "last_state"], ids=str)
def test_the_second_look_is_the_same_pass_in_float64(kind: Kind) -> None:
    network, (x, lengths) = make(kind), inputs(*LENGTHS)
    run, activations = recorded(network, x, lengths)
    for b, length in enumerate(LENGTHS):
        again, found = precisely(network.encoder, run, activations, b)
        _, want = recorded(network, x[b : b + 1, :length], lengths[b : b + 1])
        assert again.lengths.tolist() == [length]
        for layer, direction in np.ndindex(kind.layers, len(kind.directions)):
            for name, value in found[layer][direction].items():
                assert float((value - want[layer][direction][name]).abs().max()) < 1e-12


def growing(cell: str) -> Classifier | Tagger:
    """W_hh doubles what passes back; an LSTM's gates are set so that it behaves as such an RNN."""
    network = make(Kind(cell, BOTH, 1, "last_state"), seed=1, dtype=torch.float32)  # type: ignore[arg-type]
    for direction in BOTH:
        w = network.encoder.recurrence(0, direction).weights
        square = torch.nn.init.orthogonal_(torch.empty(UNITS, UNITS)) * 2
        if cell == "rnn":
            w.weight_hh.copy_(square)
        else:
            w.weight_hh.zero_()[2 * UNITS : 3 * UNITS] = square * 1.5
            w.bias_ih.copy_(torch.tensor([5.0, -5.0, 0.0, 5.0]).repeat_interleave(UNITS))
    return network


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_secant_weights_that_grow_are_taken_in_float64(cell: str) -> None:
    """Contributions in the thousands cancel to a logit of about 1; float32 states would miss it by more than 1e-5."""
    network, (x, _) = growing(cell), inputs(40, 35, seed=1, dtype=torch.float32)
    double = make(Kind(cell, BOTH, 1, "last_state"))  # type: ignore[arg-type]
    double.load_state_dict({name: value.double() for name, value in network.state_dict().items()})
    for b, length in enumerate((40, 35)):
        found = attribute(subject_of(network, x[b, :length], b + 1), "secant")
        want = attribute(subject_of(double, x[b, :length].double(), b + 1), "secant")
        scale = np.abs(want.contributions).max()
        assert scale > 1e3
        assert found.completeness_error < 1e-12 * scale
        held = {"rnn": 1e-9, "lstm": 1e-5}[cell]  # an LSTM's gates stay the float32 numbers that were recorded
        assert np.abs(found.contributions - want.contributions).max() < held * scale


def test_secant_weights_past_float64_are_refused_with_a_reason() -> None:
    network, (x, _) = make(Kind("rnn", ("forward",), 1, "last_state")), inputs(1200)
    torch.nn.init.orthogonal_(network.encoder.recurrence(0, "forward").weights.weight_hh)
    network.encoder.recurrence(0, "forward").weights.weight_hh.mul_(6)
    with pytest.raises(OptionError, match="grow with distance"):
        attribute(subject_of(network, x[0]), "secant")
