"""Texts in; predictions out, in order, the same alone and in any batch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from models.analysis.reductions import half_life
from models.checkpoint.checkpoint import Checkpoint, load_checkpoint
from models.errors import (
    ActivationsUnavailable,
    EmptyText,
    OptionError,
    SelectionError,
    TooManyCharacters,
    TooManyTokens,
)
from models.inference.decoding import softmax
from models.inference.inspection import Inspection, Select, Timesteps
from models.inference.predictor import Predictor

from ...conftest import TINY
from ...oracles import all_paths, embed, logits

TEXTS = ["我想吃汉堡 John", "好", "The service isn't good at all 北京 , London " * 3, "a", "酒店 b 不错"]


@pytest.fixture(scope="module", params=sorted(TINY))
def predictor(request: pytest.FixtureRequest, weights_dir: Path) -> Predictor:
    return Predictor(load_checkpoint(weights_dir / request.param), torch.device("cpu"))


def test_batch_equals_single_in_order(predictor: Predictor) -> None:
    together = predictor.predict(TEXTS, Inspection())
    predictor.batch_tokens = 40  # nearly every text in a batch of its own
    try:
        alone = [predictor.predict([text], Inspection())[0] for text in TEXTS]
        split = predictor.predict(TEXTS, Inspection())
    finally:
        predictor.batch_tokens = 16384
    for text, one, many, parts in zip(TEXTS, alone, together, split, strict=True):
        assert [t.text for t in many.tokens] == [t.text for t in predictor.prepare(text).tokens]
        for other in (many, parts):
            assert np.abs(one.logits - other.logits).max() < 1e-5
            assert one.inside is not None
            assert other.inside is not None
            for name in one.inside.tensors:
                assert np.abs(one.inside.tensors[name] - other.inside.tensors[name]).max() < 1e-5
            if one.scores is not None:
                assert other.scores is not None
                assert np.allclose([s for _, s in one.scores], [s for _, s in other.scores], atol=1e-6)
            else:
                assert [(e.label, e.start, e.end) for e in one.entities or ()] == [
                    (e.label, e.start, e.end) for e in other.entities or ()
                ]


def test_scores_and_entities_are_the_oracles(predictor: Predictor) -> None:
    for text, answer in zip(TEXTS[:2], predictor.predict(TEXTS[:2]), strict=True):
        want = logits(predictor.network, predictor.prepare(text).ids)
        if answer.scores is not None:
            p = softmax(want, predictor.checkpoint.manifest.temperature)
            assert np.allclose([dict(answer.scores)[label] for label in predictor.checkpoint.labels], p, atol=1e-6)
            continue
        crf = predictor.network.crf
        parts = [p.detach().double().numpy() for p in (crf.transitions, crf.start, crf.end)]
        path, _ = max(all_paths(want, *parts), key=lambda path_and_score: path_and_score[1])
        tags = [predictor.checkpoint.tags[k] for k in path]
        assert sum(tag.startswith("B-") for tag in tags) <= len(answer.entities or ())
        for entity in answer.entities or ():
            assert entity.text == text[entity.start : entity.end]
            assert 0 <= entity.score <= 1


def test_embedding_is_the_mean_of_the_rows_that_are_named(predictor: Predictor) -> None:
    inside = predictor.predict(TEXTS[:1], Inspection(embedding=True))[0].inside
    assert inside is not None
    assert inside.embedding is not None
    want = embed(predictor.network, predictor.prepare(TEXTS[0]).ids).numpy()
    assert np.abs(inside.embedding - want).max() < 1e-6


def test_prefixes_equal_predictions_of_the_cut_text(predictor: Predictor) -> None:
    if predictor.shape.task != "text-classification":
        with pytest.raises(OptionError):
            predictor.predict(["x"], Inspection(prefix_predictions=True))
        return
    text = TEXTS[0]
    inside = predictor.predict([text, "好"], Inspection(prefix_predictions=True))[0].inside
    assert inside is not None
    assert inside.prefixes is not None
    prefixes = inside.prefixes
    for n, token in enumerate(predictor.prepare(text).tokens):
        cut = predictor.predict([text[: token.end]])[0]
        assert cut.scores is not None
        assert prefixes.labels[n] == cut.scores[0][0]
        assert prefixes.scores[n] == pytest.approx(cut.scores[0][1], abs=1e-6)
    changes = [n + 1 for n, label in enumerate(prefixes.labels) if label != prefixes.labels[-1]]
    assert prefixes.commit_timestep == max(changes, default=0)


def test_a_selection_is_a_part_of_the_whole(predictor: Predictor) -> None:
    select = Select(timesteps=Timesteps(1, 99, 2), units=(3, 0))
    whole, part = (predictor.predict(TEXTS[2:3], i)[0].inside for i in (Inspection(), Inspection(select=select)))
    assert whole is not None
    assert part is not None
    for name, values in part.tensors.items():
        assert np.array_equal(values, whole.tensors[name][:, :, 1::2][:, :, :, [3, 0]])


@pytest.mark.parametrize(
    ("inspection", "error"),
    [
        (Inspection(tensors=("gate",)), ActivationsUnavailable),
        (Inspection(select=Select(units=(7,))), SelectionError),
        (Inspection(select=Select(layers=(5,))), SelectionError),
        (Inspection(select=Select(directions=("up",))), SelectionError),
        (Inspection(select=Select(units=(1, 1))), SelectionError),
        (Inspection(select=Select(units=())), SelectionError),
        (Inspection(select=Select(timesteps=Timesteps(9))), SelectionError),
        (Inspection(select=Select(timesteps=Timesteps(0, 1, 0))), SelectionError),
        (Inspection(tensors=("hidden_state",), reduce=("half_life",)), OptionError),
    ],
)
def test_what_does_not_fit_the_model_is_refused(
    predictor: Predictor, inspection: Inspection, error: type[Exception]
) -> None:
    with pytest.raises(error):
        predictor.predict(["我想 a b"], inspection)


def test_texts_that_cannot_be_read_are_named(predictor: Predictor) -> None:
    with pytest.raises(EmptyText, match="text 1"):
        predictor.predict(["x", " "])
    with pytest.raises(TooManyTokens, match="601 tokens"):
        predictor.predict(["！" * 601])
    with pytest.raises(TooManyCharacters, match="2001 characters"):
        predictor.predict([" " * 2001])


def test_reductions_follow_from_the_tensors(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    predictor = Predictor(tiny_checkpoint(), torch.device("cpu"))
    inside = predictor.predict(
        TEXTS[2:3], Inspection(tensors=("forget_gate", "input_gate"), reduce=("half_life", "phases", "norm"))
    )[0].inside
    assert inside is not None
    assert inside.reductions is not None
    f, i = inside.tensors["forget_gate"].astype(float), inside.tensors["input_gate"].astype(float)
    assert np.allclose(inside.reductions["forget_gate"]["half_life_tokens"], np.log(2) / -np.log(f).mean(2))
    assert np.allclose(inside.reductions["forget_gate"]["norm"], np.sqrt((f**2).sum(3)))
    assert np.allclose(inside.reductions["phases"]["overwrite"], ((f < 0.5) & (i >= 0.5)).mean(2))
    # a cell state that decays by f alone is halved after the half-life: the definition, by brute force
    steady = np.full((1, 1, 50, 1), 0.93)
    tokens = float(half_life(steady)[0, 0, 0])
    assert 0.93**tokens == pytest.approx(0.5)
