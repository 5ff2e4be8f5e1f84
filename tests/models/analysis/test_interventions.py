"""Interventions against a float64 loop that makes the same changes one value at a time."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.analysis import interventions
from models.analysis.interventions import Intervention, Variant, intervene, sweep
from models.errors import ActivationsUnavailable, InputError, OptionError, SelectionError
from models.recurrence.cells import TENSORS
from tests.models.analysis.networks import BOTH, KINDS, UNITS, Array, Kind, inputs, make, step_loop

LENGTH = 6


def changed_loop(network, x: torch.Tensor, variant: Sequence[Intervention]) -> Array:  # type: ignore[no-untyped-def]
    def change(name: str, layer: int, direction: str, t: int, value: torch.Tensor) -> torch.Tensor:
        value = value.clone()
        for c in variant:
            if (c.target, c.layer, c.direction) != (name, layer, direction):
                continue
            if c.timesteps is not None and t not in c.timesteps:
                continue
            for u in range(UNITS) if c.units is None else c.units:
                before = float(value[u])
                value[u] = {"set": c.value, "zero": 0.0, "add": before + c.value, "scale": before * c.value}[c.op]
        return value

    return step_loop(network, x, change)


def random_variant(kind: Kind, data: st.DataObject) -> Variant:
    some = lambda n: st.none() | st.lists(st.integers(0, n - 1), min_size=1, unique=True).map(tuple)  # noqa: E731
    one = st.builds(
        Intervention,
        target=st.sampled_from(TENSORS[kind.cell]),
        op=st.sampled_from(["set", "add", "scale", "zero"]),
        value=st.floats(-2, 2),
        layer=st.integers(0, kind.layers - 1),
        direction=st.sampled_from(kind.directions),
        timesteps=some(LENGTH),
        units=some(UNITS),
    )
    return tuple(data.draw(st.lists(one, max_size=3)))


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(KINDS), data=st.data())
def test_every_variant_of_a_batch_equals_the_step_loop(kind: Kind, data: st.DataObject) -> None:
    network, (x, _) = make(kind), inputs(LENGTH)
    variants = [random_variant(kind, data) for _ in range(3)]
    found = intervene(network, x[0], variants)
    assert np.abs(found.baseline - step_loop(network, x[0])).max() < 1e-11
    for logits, delta, variant in zip(found.logits, found.delta, variants, strict=True):
        want = changed_loop(network, x[0], variant)
        assert np.abs(logits - want).max() < 1e-11
        assert np.abs(delta - (logits - found.baseline)).max() < 1e-11


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_no_op_changes_nothing_at_all(kind: Kind) -> None:
    network, (x, _) = make(kind, dtype=torch.float32), inputs(LENGTH, dtype=torch.float32)
    variants: list[Variant] = [()]
    for layer, direction, target in [
        (n, d, t) for n in range(kind.layers) for d in kind.directions for t in TENSORS[kind.cell]
    ]:
        for op, value in (("scale", 1.0), ("add", 0.0)):
            for timesteps in (None, (3,)):
                variants.append((Intervention(target, op, value, layer, direction, timesteps),))  # type: ignore[arg-type]
    found = intervene(network, x[0], variants)
    assert not found.delta.any()
    assert np.abs(found.baseline - step_loop(network, x[0].double())).max() < 1e-5


@pytest.mark.parametrize("kind", [k for k in KINDS if k.layers == 2], ids=str)
def test_a_sweep_is_one_intervention_at_a_time_on_top_of_the_others(kind: Kind) -> None:
    network, (x, _) = make(kind), inputs(LENGTH)
    base = (Intervention("hidden_state", "scale", 0.5, direction=kind.directions[-1]),)
    swept = Intervention("hidden_state", "zero")
    for over, count in (("units", UNITS), ("timesteps", LENGTH)):
        found = intervene(network, x[0], sweep(base, swept, over, count))  # type: ignore[arg-type]
        for index in range(count):
            one = Intervention("hidden_state", "zero", **{over: (index,)})  # type: ignore[arg-type]
            assert np.abs(found.logits[index] - changed_loop(network, x[0], (*base, one))).max() < 1e-11


def test_a_large_sweep_runs_in_several_batches_with_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    network, (x, _) = make(Kind("lstm", BOTH, 2, "tagger")), inputs(LENGTH)
    variants = sweep((), Intervention("forget_gate", "zero", layer=1, direction="reverse"), "units", UNITS)
    whole = intervene(network, x[0], variants)
    monkeypatch.setattr(interventions, "BATCH_TOKENS", 2 * LENGTH)
    parts = intervene(network, x[0], variants)
    assert np.abs(whole.delta - parts.delta).max() < 1e-13
    assert parts.delta.shape == (UNITS, LENGTH, 4)


def test_what_a_reader_has_not_reached_yet_does_not_change_by_a_bit() -> None:
    kind = Kind("lstm", ("forward",), 2, "tagger")
    network, (x, _) = make(kind, dtype=torch.float32), inputs(LENGTH, dtype=torch.float32)
    found = intervene(network, x[0], sweep((), Intervention("input_gate", "zero"), "timesteps", LENGTH))
    for t in range(LENGTH):
        assert not found.delta[t, :t].any()
        assert found.delta[t, t:].all()


def test_forgetting_before_the_first_token_changes_nothing() -> None:
    network, (x, _) = make(Kind("lstm", BOTH, 1, "last_state")), inputs(LENGTH)
    first = [
        (Intervention("forget_gate", "zero", timesteps=(0,)),),
        (Intervention("forget_gate", "zero", timesteps=(LENGTH - 1,), direction="reverse"),),
    ]
    assert not intervene(network, x[0], first).delta.any()


def test_later_interventions_see_what_earlier_ones_left() -> None:
    network, (x, _) = make(Kind("rnn", ("forward",), 1, "last_state")), inputs(LENGTH)
    put, more = Intervention("hidden_state", "set", 0.5), Intervention("hidden_state", "add", 0.25)
    found = intervene(network, x[0], [(put, more), (more, put), (Intervention("hidden_state", "set", 0.75),)])
    assert np.abs(found.logits[0] - found.logits[2]).max() < 1e-12
    assert np.abs(found.logits[1] - changed_loop(network, x[0], (put,))).max() < 1e-12


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (Intervention("forget_gate", "zero"), ActivationsUnavailable, "it has hidden_state"),
        (Intervention("hidden_state", "invert"), OptionError, "allowed are set, add, scale, zero"),  # type: ignore[arg-type]
        (Intervention("hidden_state", "set", float("nan")), OptionError, "finite"),
        (Intervention("hidden_state", "zero", layer=1), SelectionError, "layer has 1"),
        (Intervention("hidden_state", "zero", direction="reverse"), SelectionError, "allowed are forward"),
        (Intervention("hidden_state", "zero", timesteps=(LENGTH,)), SelectionError, "allowed are 0 to 5"),
        (Intervention("hidden_state", "zero", timesteps=()), SelectionError, "empty"),
        (Intervention("hidden_state", "zero", units=(-1,)), SelectionError, "units has -1"),
        (Intervention("hidden_state", "zero", units=(1, 1)), SelectionError, "twice"),
        (Intervention("hidden_state", "set", 1e300), OptionError, "smaller value"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_can(
    change: Intervention, error: type[InputError], message: str
) -> None:
    network = make(Kind("rnn", ("forward",), 1, "last_state"), dtype=torch.float32)
    with pytest.raises(error, match=message):
        intervene(network, inputs(LENGTH, dtype=torch.float32)[0][0], [(change,)])
