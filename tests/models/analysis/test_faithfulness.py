"""Faithfulness against its definition, written out; and which method is chosen by it."""

import itertools

import numpy as np
import pytest

from models.analysis.attribution import Output
from models.analysis.faithfulness import CURVE, SHARES, best_subsets, faithfulness
from models.analysis.method_reports import (
    AFFORDABLE,
    BEST,
    RANDOM,
    MethodReport,
    chosen_default,
    explained_output,
    method_reports,
    methods_for,
    sample,
)
from models.analysis.subject import Subject, TextRuns
from models.errors import OptionError
from tests.models.analysis.networks import KINDS, Kind, inputs, logit_of_kept, make, subject_of

ONE_LAYER = [k for k in KINDS if k.layers == 1]


def text(kind: Kind, length: int, seed: int = 5) -> TextRuns:
    network, (x, _) = make(kind, seed=seed), inputs(length, seed=seed)
    return subject_of(network, x[0]).runs


def margin(runs: TextRuns, output: Output, kept: list[int]) -> float:
    outputs = range(runs.network.architecture.outputs)
    logits = [logit_of_kept(Subject(runs, Output(k, output.timestep)), kept) for k in outputs]
    return logits[output.index] - max(logit for k, logit in enumerate(logits) if k != output.index)


@pytest.mark.parametrize("kind", ONE_LAYER, ids=str)
def test_both_measures_are_their_definition(kind: Kind) -> None:
    runs = text(kind, 9)
    output = Output(1, 4 if kind.read == "tagger" else None)
    scores = np.random.default_rng(1).normal(size=9)
    found = faithfulness(runs, output, scores)
    ranked = sorted(range(9), key=lambda t: -scores[t])
    whole = margin(runs, output, list(range(9)))
    sizes = [1, 1, 1, 2, 5]  # of 9 tokens: 1, 5, 10, 20 and 50 %, rounded up
    lost = [whole - margin(runs, output, sorted(ranked[n:])) for n in sizes]
    kept = [margin(runs, output, sorted(ranked[:n])) - whole for n in sizes]
    assert len(sizes) == len(SHARES)
    assert found.comprehensiveness == pytest.approx(np.mean(lost), abs=1e-9)
    assert found.sufficiency == pytest.approx(np.mean(kept), abs=1e-9)
    curve = [round(share * 9) for share in CURVE]
    assert found.deletion == pytest.approx([margin(runs, output, sorted(ranked[n:])) for n in curve], abs=1e-9)
    assert found.insertion == pytest.approx([margin(runs, output, sorted(ranked[:n])) for n in curve], abs=1e-9)


def test_no_order_beats_the_best_subsets() -> None:
    runs = text(Kind("lstm", ("forward",), 1, "mean_max"), 5)
    output = Output(2)
    best = best_subsets(runs, output)
    every = [faithfulness(runs, output, -np.argsort(order).astype(float)) for order in itertools.permutations(range(5))]
    assert best.comprehensiveness >= max(f.comprehensiveness for f in every) - 1e-12
    assert best.sufficiency >= max(f.sufficiency for f in every) - 1e-12
    assert (best.deletion <= np.min([f.deletion for f in every], axis=0) + 1e-12).all()
    assert best.deletion[1] == pytest.approx(min(f.deletion[1] for f in every))
    with pytest.raises(OptionError, match="11 tokens"):
        best_subsets(text(Kind("rnn", ("forward",), 1, "last_state"), 11), output)


def test_reports_are_means_over_the_texts_and_chance_stands_beside_them() -> None:
    texts = [text(Kind("lstm", ("forward",), 1, "last_state"), n, seed=5) for n in (4, 6)]
    reports = {r.method: r for r in method_reports(texts, ["prefix", "occlusion"], lambda items, total, what: items)}
    assert set(reports) == {"prefix", "occlusion", RANDOM, BEST}
    assert reports["occlusion"].predictions == pytest.approx((3 + 5) / 2)
    assert reports["prefix"].predictions == 1
    assert reports[RANDOM].predictions is None
    expected = []
    for runs in texts:
        output = explained_output(runs)
        assert output is not None
        cut = [logit_of_kept(Subject(runs, output), range(n)) for n in range(len(runs) + 1)]
        expected.append(faithfulness(runs, output, np.diff(cut)).comprehensiveness)
    assert reports["prefix"].comprehensiveness == pytest.approx(np.mean(expected), abs=1e-9)


def test_the_default_is_near_the_best_in_both_measures_and_affordable() -> None:
    def row(method: str, comprehensive: float, sufficient: float, cost: float = 3) -> MethodReport:
        return MethodReport(method, 10, comprehensive, sufficient, [], [], predictions_long=cost)

    dear = row("occlusion", 9.0, 9.0, AFFORDABLE + 1)
    chance = MethodReport(RANDOM, 10, 0.2, -2.0, [], [])
    first, second, study = "integrated_gradients", "prefix", "secant"
    assert chosen_default([dear, chance, row(first, 3.0, 0.5), row(second, 2.9, 1.0)]) == second
    assert chosen_default([dear, chance, row(first, 3.0, 0.9), row(second, 2.9, 1.0)]) == first
    assert chosen_default([chance, row(study, 3.0, 1.0), row(second, 2.9, 0.9)]) == second  # near, and not for study
    assert chosen_default([chance, row(study, 3.0, 1.0), row(second, 2.0, 0.9)]) == study  # not near
    assert chosen_default([chance, row(first, 3.0, -1.0), row(second, 2.0, 0.0)]) == first  # comprehensive alone
    assert chosen_default([chance, row(first, 3.0, -1.0), row(study, 2.9, -0.9), row(second, 2, 0)]) == study


def test_what_is_affordable_depends_on_the_cell_and_on_whether_one_pass_gives_every_prefix() -> None:
    assert "occlusion" not in methods_for("lstm", AFFORDABLE)
    assert "prefix" in methods_for("lstm", AFFORDABLE)
    assert "prefix" not in methods_for("lstm", AFFORDABLE, one_pass=False)
    assert "cell_additive" not in methods_for("rnn")


def test_a_sample_takes_long_texts_where_there_are_enough_spaced_over_all() -> None:
    lengths = [70] * 100 + [20] * 100 + [3] * 100 + [900]
    assert sample(lengths, 80) == [n * 100 // 80 for n in range(80)]
    assert sample(lengths, 150) == [n * 200 // 150 for n in range(150)]
    assert sample([3, 4, 10, 12, 900], 80) == [2, 3]
