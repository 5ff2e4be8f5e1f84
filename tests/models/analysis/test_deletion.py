"""Occlusion, prefixes and Shapley values against a step loop over the tokens that are left."""

import itertools

import numpy as np
import pytest
import torch

from models.analysis.attribution import Options
from models.analysis.methods import METHODS, TextCost, attribute
from models.analysis.subject import Subject
from models.errors import OptionError
from tests.models.analysis.networks import KINDS, Kind, inputs, logit_of_kept, make, subject_of

SHALLOW = [k for k in KINDS if k.layers < 3]


def subject(kind: Kind, length: int, timestep: int = 2) -> Subject:
    network, (x, _) = make(kind, seed=7), inputs(length, seed=7)
    return subject_of(network, x[0], 1, timestep if kind.read == "tagger" else None)


@pytest.mark.parametrize("kind", SHALLOW, ids=str)
def test_logits_of_what_is_left_are_the_step_loops(kind: Kind) -> None:
    one = subject(kind, 5)
    every = [kept for n in range(6) for kept in itertools.combinations(range(5), n)]
    expected = [logit_of_kept(one, kept) for kept in every]
    assert np.abs(one.logits_of_kept(every) - expected).max() < 1e-12


@pytest.mark.parametrize("kind", SHALLOW, ids=str)
def test_occlusion_is_the_logit_minus_that_of_the_text_without_the_token(kind: Kind) -> None:
    one = subject(kind, 6)
    found = attribute(one, "occlusion")
    expected = [logit_of_kept(one, range(6)) - logit_of_kept(one, [t for t in range(6) if t != s]) for s in range(6)]
    assert np.abs(found.contributions - expected).max() < 1e-12
    assert found.bias is None


@pytest.mark.parametrize("kind", SHALLOW, ids=str)
def test_prefix_is_the_difference_of_cut_texts_and_adds_up(kind: Kind) -> None:
    one = subject(kind, 6)
    found = attribute(one, "prefix")
    cut = [logit_of_kept(one, range(n)) for n in range(7)]
    assert np.abs(found.contributions - np.diff(cut)).max() < 1e-12
    assert found.bias == pytest.approx(cut[0], abs=1e-12)
    assert found.completeness_error < 1e-12


def test_an_option_of_another_method_and_an_unknown_method_are_refused() -> None:
    one = subject(Kind("lstm", ("forward",), 1, "last_state"), 3)
    with pytest.raises(OptionError, match="option of shapley"):
        attribute(one, "prefix", Options(permutations=8))
    with pytest.raises(OptionError, match="shapley, integrated_gradients"):
        attribute(one, "nobody")


def test_the_only_token_leaves_the_heads_bias() -> None:
    one = subject(Kind("lstm", ("forward",), 1, "last_state"), 1)
    for name in ("occlusion", "prefix", "shapley"):
        assert attribute(one, name).contributions == pytest.approx([one.logit - one.bias], abs=1e-12)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", [k for k in SHALLOW if k.layers == 1], ids=str)
def test_what_a_method_reads_is_within_its_price(name: str, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in tokens of every pass forward; a pass back is priced at two of them and not counted here."""
    if kind.cell not in METHODS[name].cells:
        return
    one = subject(kind, 12)
    read = 0
    runner = type(one.runs.runner)

    def counting(kept):  # type: ignore[no-untyped-def]
        def run(self, x, lengths: torch.Tensor, recording: str):  # type: ignore[no-untyped-def]
            nonlocal read
            read += int(lengths.sum())
            return kept(self, x, lengths, recording)

        return run

    monkeypatch.setattr(runner, "run_inputs", counting(runner.run_inputs))
    attribute(one, name)
    price = METHODS[name].price(TextCost(12, one.runs.reads_prefixes_at_once, Options()))
    assert read <= price + 12  # the text's own pass
