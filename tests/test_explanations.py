"""Attribution on the shipped models: the definitions hold there too, and each default is what the stored table says."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from models import Analyst, Predictor, load_checkpoint
from models.analysis.attribution import Attribution
from models.analysis.method_reports import RANDOM, MethodReport, affordable, chosen_default
from models.checkpoint.checkpoint import read_manifest
from models.inference.analyst import Question
from models.network.network import Classifier
from tests.models.analysis.test_integrated_gradients import riemann

ROOT = Path(__file__).parent.parent
STORED = {row["model"]: row for row in json.loads((ROOT / "docs/explanations.json").read_text("utf-8"))["models"]}
SHIPPED = sorted(path.parent.name for path in (ROOT / "weights").glob("*/manifest.json"))
CLASSIFIERS = [name for name in SHIPPED if read_manifest(ROOT / "weights" / name).task == "text-classification"]
TEXTS = {"zh": "早餐真不错，房间太小了", "en": "a truly good hotel breakfast"}


@pytest.fixture(scope="module", params=CLASSIFIERS)
def analyst(request: pytest.FixtureRequest) -> Analyst:
    return Analyst(Predictor(load_checkpoint(ROOT / "weights" / request.param), torch.device("cpu")))


def explained(analyst: Analyst, method: str, text: str | None = None) -> Attribution:
    text = text or TEXTS[analyst.predictor.checkpoint.manifest.language]
    return analyst.attribute(analyst.predictor.prepare(text), Question(method=method))


def test_integrated_gradients_equal_autograds_riemann_sum_of_4096_steps(analyst: Analyst) -> None:
    found = explained(analyst, "integrated_gradients")
    text = analyst.predictor.prepare(TEXTS[analyst.predictor.checkpoint.manifest.language])
    x = torch.from_numpy(analyst.predictor.runner.embedded(text.ids))
    expected = riemann(analyst.network, x, found.output.index, None, steps=4096)
    bound = 1e-3 * max(1, abs(found.logit))
    assert found.completeness_error < bound
    assert np.abs(found.contributions - expected).max() < bound


def test_prefix_is_the_difference_of_cut_texts_predictions(analyst: Analyst) -> None:
    found = explained(analyst, "prefix")
    predictor = analyst.predictor
    text = predictor.prepare(TEXTS[predictor.checkpoint.manifest.language])
    cut = [text.text[: token.end] for token in text.tokens]
    logits = [p.logits[found.output.index] for p in predictor.predict(cut)]
    assert isinstance(predictor.network, Classifier)
    bias = float(predictor.network.head.bias[found.output.index])
    assert np.abs(found.contributions - np.diff([bias, *logits])).max() < 1e-4
    assert found.completeness_error < 1e-5


def test_shapley_is_the_exact_value_of_all_subsets(analyst: Analyst) -> None:
    language = analyst.predictor.checkpoint.manifest.language
    text = {"zh": "早餐真不错", "en": "a truly good breakfast"}[language]
    found, join = explained(analyst, "shapley", text), {"zh": "", "en": " "}[language]
    tokens = [token.text for token in analyst.predictor.prepare(text).tokens]
    length = len(tokens)
    subsets = [s for n in range(1, length + 1) for s in itertools.combinations(range(length), n)]
    answers = analyst.predictor.predict([join.join(tokens[t] for t in s) for s in subsets])
    value = {s: float(p.logits[found.output.index]) for s, p in zip(subsets, answers, strict=True)}
    value[()] = float(analyst.network.head.bias[found.output.index])
    exact = np.zeros(length)
    for before, logit in value.items():
        for t in set(range(length)) - set(before):
            weight = math.factorial(len(before)) * math.factorial(length - 1 - len(before)) / math.factorial(length)
            exact[t] += weight * (value[tuple(sorted((*before, t)))] - logit)
    assert found.standard_error is not None
    assert (np.abs(found.contributions - exact) <= 3 * found.standard_error + 1e-5).all()


def test_the_table_is_of_the_weights_that_are_shipped() -> None:
    for name in SHIPPED:
        manifest = read_manifest(ROOT / "weights" / name)
        assert STORED[name]["weights_sha256"] == manifest.sha256["weights.safetensors"], (
            f"{name} has changed since docs/explanations.json was made: run make explanations"
        )


@pytest.mark.parametrize("name", SHIPPED)
def test_the_default_is_what_the_table_says(name: str) -> None:
    reports = [MethodReport(**row) for row in STORED[name]["reports"]]
    default = read_manifest(ROOT / "weights" / name).default_attribution
    assert default == STORED[name]["default"] == chosen_default(reports)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_default_of_a_classifier_finds_what_matters_nearly_as_well_as_the_best(name: str) -> None:
    rows = {row["method"]: MethodReport(**row) for row in STORED[name]["reports"]}
    default = rows[STORED[name]["default"]]
    best = max(r.comprehensiveness for r in affordable(list(rows.values())))
    assert default.comprehensiveness >= 0.95 * best
    most_sufficient = max(r.sufficiency for r in affordable(list(rows.values())))
    assert default.sufficiency >= most_sufficient - 0.1 * abs(most_sufficient)
    assert default.comprehensiveness > 2 * rows[RANDOM].comprehensiveness
    if read_manifest(ROOT / "weights" / name).cell == "rnn":
        assert default.comprehensiveness > 1.2 * rows["gradient_x_input"].comprehensiveness
