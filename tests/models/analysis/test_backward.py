"""The closed-form gradient is autograd's and the finite difference's; the secant is complete and is mathematics' own."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.analysis.backward import backward
from models.analysis.readout import read_out
from models.errors import OptionError, SelectionError
from tests.models.analysis.networks import INPUT, KINDS, Kind, inputs, logit, make, recorded, weights_of

LENGTHS, TARGETS, AT = (5, 8, 1), (0, 3, 2), (2, 7, 0)


def timesteps(kind: Kind) -> tuple[int, ...] | None:
    return AT if kind.read == "tagger" else None


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_readout_is_the_heads_logit(kind: Kind) -> None:
    network, (x, lengths) = make(kind), inputs(*LENGTHS)
    run, _ = recorded(network, x, lengths)
    readout = read_out(network, run, TARGETS, timesteps(kind))
    for b, (target, length) in enumerate(zip(TARGETS, LENGTHS, strict=True)):
        at = timesteps(kind) and AT[b]
        want = float(logit(network, x[b, :length], target, at))
        states = run.hidden_states[-1]
        taken_apart = sum(float((w[:, b] * h[b].numpy()).sum()) for w, h in zip(readout.weights, states, strict=True))
        assert abs(readout.logit[b] - want) < 1e-12
        assert abs(taken_apart + readout.bias[b] - want) < 1e-12


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_tangent_is_autograds_gradient(kind: Kind) -> None:
    network, (x, lengths) = make(kind), inputs(*LENGTHS)
    run, activations = recorded(network, x, lengths)
    readout = read_out(network, run, TARGETS, timesteps(kind))
    found = backward(network.encoder, activations, readout.weights, lengths, "tangent").inputs
    for b, (target, length) in enumerate(zip(TARGETS, LENGTHS, strict=True)):
        alone = x[b, :length].clone().requires_grad_()
        (want,) = torch.autograd.grad(logit(network, alone, target, timesteps(kind) and AT[b]), alone)
        assert np.abs(found[b, :length] - want.numpy()).max() < 1e-12
        assert not found[b, length:].any()


@pytest.mark.parametrize("kind", [k for k in KINDS if k.layers == 2], ids=str)
def test_the_tangent_is_the_central_finite_difference(kind: Kind) -> None:
    network, (x, lengths) = make(kind, seed=1), inputs(6, seed=1)
    at = 3 if kind.read == "tagger" else None
    run, activations = recorded(network, x, lengths)
    readout = read_out(network, run, [1], at and [at])
    found = backward(network.encoder, activations, readout.weights, lengths, "tangent").inputs[0]
    for s in range(6):
        for k in range(INPUT):
            ahead, behind = x[0].clone(), x[0].clone()
            ahead[s, k] += 1e-6
            behind[s, k] -= 1e-6
            want = float(logit(network, ahead, 1, at) - logit(network, behind, 1, at)) / 2e-6
            assert abs(found[s, k] - want) < 1e-8


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_secant_sums_to_the_logit(kind: Kind) -> None:
    network, (x, lengths) = make(kind, seed=2), inputs(*LENGTHS, seed=2)
    run, activations = recorded(network, x, lengths)
    readout = read_out(network, run, TARGETS, timesteps(kind))
    linear = backward(network.encoder, activations, readout.weights, lengths, "secant")
    total = (linear.inputs * x.numpy()).sum((1, 2)) + linear.bias + readout.bias
    assert np.abs(total - readout.logit).max() < 1e-12


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), length=st.integers(1, 12), kind=st.sampled_from(KINDS), std=st.floats(0.05, 0.7))
def test_the_secant_sums_to_the_logit_of_any_network(seed: int, length: int, kind: Kind, std: float) -> None:
    network, (x, lengths) = make(kind, seed, std=std), inputs(length, seed=seed)
    run, activations = recorded(network, x, lengths)
    readout = read_out(network, run, [seed % 4], [seed % length] if kind.read == "tagger" else None)
    linear = backward(network.encoder, activations, readout.weights, lengths, "secant")
    total = (linear.inputs * x.numpy()).sum() + linear.bias[0] + readout.bias[0]
    assert abs(total - readout.logit[0]) < 1e-9 * max(1, np.abs(linear.inputs).max())


def held_network(kind: Kind, network, activations, x: torch.Tensor, at: int | None, target: int) -> float:  # type: ignore[no-untyped-def]
    """The logit of another x when every gate and every slope tanh(z)/z stays what it was: one step after the other."""
    peaks = activations[-1]
    for layer, by_direction in enumerate(activations):
        states = []
        for direction, kept in zip(kind.directions, by_direction, strict=True):
            w = weights_of(network, layer, direction)
            h = c = torch.zeros(w.units, dtype=torch.float64)
            said = {}
            for t in range(len(x)) if direction == "forward" else range(len(x) - 1, -1, -1):
                v = {name: value[0, t] for name, value in kept.items()}
                z = w.weight_ih @ x[t] + w.bias_ih + w.weight_hh @ h + w.bias_hh
                if kind.cell == "rnn":
                    h = z * v["hidden_state"] / v["hidden_state_preactivation"]
                else:
                    g = z[2 * w.units : 3 * w.units] * v["cell_gate"] / v["cell_gate_preactivation"]
                    c = v["forget_gate"] * c + v["input_gate"] * g
                    h = v["output_gate"] * c * torch.tanh(v["cell_state"]) / v["cell_state"]
                said[t] = h
            states.append(torch.stack([said[t] for t in range(len(x))]))
        x = torch.cat(states, dim=1)
    top = torch.cat([kept["hidden_state"][0] for kept in peaks], dim=1)
    if kind.read == "tagger":
        read = x[at]
    elif kind.read == "mean_max":
        read = torch.cat([x.mean(0), x[top.argmax(0), torch.arange(x.shape[1])]])
    else:
        read = torch.cat([state[-1 if d == 0 else 0] for d, state in enumerate(states)])
    return float(network.head.weight[target] @ read + network.head.bias[target])


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_secant_is_what_the_network_with_held_gates_and_slopes_does(kind: Kind) -> None:
    """Taking token s out of that linear network takes exactly its contribution out of the logit."""
    network, (x, lengths) = make(kind, seed=3), inputs(6, seed=3)
    at = 4 if kind.read == "tagger" else None
    run, activations = recorded(network, x, lengths)
    readout = read_out(network, run, [1], at and [at])
    linear = backward(network.encoder, activations, readout.weights, lengths, "secant")
    whole = held_network(kind, network, activations, x[0], at, 1)
    assert abs(whole - readout.logit[0]) < 1e-12
    for s in range(6):
        without = x[0].clone()
        without[s] = 0
        contribution = float(linear.inputs[0, s] @ x[0, s].numpy())
        assert abs(whole - held_network(kind, network, activations, without, at, 1) - contribution) < 1e-11
    nothing = held_network(kind, network, activations, torch.zeros_like(x[0]), at, 1)
    assert abs(nothing - float(linear.bias[0] + readout.bias[0])) < 1e-11


def test_a_tagger_needs_a_timestep_inside_its_text_and_a_classifier_none() -> None:
    x, lengths = inputs(5, 8)
    tagger, classifier = (make(Kind("rnn", ("forward",), 1, read)) for read in ("tagger", "last_state"))
    run, _ = recorded(tagger, x, lengths)
    with pytest.raises(OptionError, match="timestep is missing"):
        read_out(tagger, run, [0, 0])
    with pytest.raises(SelectionError, match="timestep is 5, but the text has 5 tokens"):
        read_out(tagger, run, [0, 0], [5, 5])
    with pytest.raises(OptionError, match="leave it out"):
        read_out(classifier, recorded(classifier, x, lengths)[0], [0, 0], [1, 1])
