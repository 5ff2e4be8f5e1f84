"""Everything that a model answers, on a card that is not there (`tests.card`): the answers are the CPU's."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models.analysis.attribution import Options
from models.analysis.interventions import Intervention
from models.analysis.methods import METHODS
from models.checkpoint.checkpoint import load_checkpoint
from models.inference.analyst import Analyst, Question
from models.inference.inspection import Inspection, Select, Timesteps
from models.inference.predictor import Predictor
from models.inference.streaming import Streamer

from ...card import Card, MixedDevices
from ...conftest import TINY
from .test_predictor import TEXTS

CLOSE = 1e-5


@pytest.fixture
def card() -> Iterator[Card]:
    with Card() as card:
        yield card


@pytest.fixture(params=sorted(TINY))
def pair(request: pytest.FixtureRequest, weights_dir: Path, card: Card) -> tuple[Analyst, Analyst]:
    """The same model on the CPU, by torch's kernels, and on the card."""
    cpu = Predictor(load_checkpoint(weights_dir / request.param), torch.device("cpu"), kernel="torch")
    return Analyst(cpu), Analyst(Predictor(load_checkpoint(weights_dir / request.param), card.device))


def assert_close(a: object, b: object) -> None:
    assert np.allclose(np.asarray(a), np.asarray(b), rtol=CLOSE, atol=CLOSE, equal_nan=True)


def test_the_card_refuses_what_a_real_one_refuses(card: Card) -> None:
    x = torch.ones(3).to(card.device)
    assert x.device == card.device
    with pytest.raises(MixedDevices):
        x + torch.zeros(3)  # a factory without device=
    with pytest.raises(RuntimeError):
        x.numpy()
    assert card.copied == 0
    assert x.cpu().numpy().tolist() == [1, 1, 1]
    assert (card.copied, card.copies) == (12, 1)


INSPECTIONS = {
    "everything": Inspection(preactivations=True, embedding=True),
    "selected": Inspection(select=Select(timesteps=Timesteps(1, 9, 2), units=(3, 0))),
    "one tensor": Inspection(tensors=("hidden_state",), select=Select(directions=("forward",), layers=(0,))),
    "reduced": Inspection(reduce=("mean", "saturation", "norm")),
    "reduced and returned": Inspection(tensors=("hidden_state",), reduce=("mean",), select=Select(units=(2, 5))),
}


@pytest.mark.parametrize("options", INSPECTIONS.values(), ids=INSPECTIONS.keys())
def test_inspections_equal_the_cpus(pair: tuple[Analyst, Analyst], options: Inspection) -> None:
    texts = [text for text in TEXTS if len(pair[0].predictor.prepare(text)) > options.select.timesteps.start]
    for cpu, on_card in zip(*(analyst.predictor.predict(texts, options) for analyst in pair), strict=True):
        assert_close(cpu.logits, on_card.logits)
        assert cpu.inside
        assert on_card.inside
        assert cpu.inside.selection == on_card.inside.selection
        assert on_card.inside.certificate.recurrence_max_abs_error < 1e-5
        assert on_card.inside.certificate.device == "lazy"
        assert cpu.inside.tensors.keys() == on_card.inside.tensors.keys()
        for name, values in cpu.inside.tensors.items():
            assert values.dtype == on_card.inside.tensors[name].dtype
            assert_close(values, on_card.inside.tensors[name])
        if options.embedding:
            assert_close(cpu.inside.embedding, on_card.inside.embedding)
        assert (cpu.inside.reductions or {}).keys() == (on_card.inside.reductions or {}).keys()
        for name, fields in (cpu.inside.reductions or {}).items():
            assert on_card.inside.reductions
            assert fields.keys() == on_card.inside.reductions[name].keys()
            for field, values in fields.items():
                assert_close(values, on_card.inside.reductions[name][field])


def test_half_lives_and_phases_equal_the_cpus(pair: tuple[Analyst, Analyst]) -> None:
    if pair[0].network.encoder.cell != "lstm":
        return
    options = Inspection(reduce=("half_life", "phases"), select=Select(timesteps=Timesteps(0, 5)))
    for cpu, on_card in zip(*(analyst.predictor.predict(TEXTS, options) for analyst in pair), strict=True):
        assert cpu.inside
        assert on_card.inside
        assert cpu.inside.reductions
        assert on_card.inside.reductions
        assert_close(
            cpu.inside.reductions["forget_gate"]["half_life_tokens"],
            on_card.inside.reductions["forget_gate"]["half_life_tokens"],
        )
        for name, share in cpu.inside.reductions["phases"].items():
            assert_close(share, on_card.inside.reductions["phases"][name])


def test_labels_entities_prefixes_and_token_scores_equal_the_cpus(pair: tuple[Analyst, Analyst]) -> None:
    tagger = pair[0].predictor.is_tagger
    options = Inspection(tensors=("hidden_state",), prefix_predictions=not tagger, token_scores=tagger)
    for cpu, on_card in zip(*(analyst.predictor.predict(TEXTS, options) for analyst in pair), strict=True):
        assert cpu.inside
        assert on_card.inside
        assert [label for label, _ in cpu.scores or ()] == [label for label, _ in on_card.scores or ()]
        assert_close([p for _, p in cpu.scores or ()], [p for _, p in on_card.scores or ()])
        assert [(e.label, e.start, e.end) for e in cpu.entities or ()] == [
            (e.label, e.start, e.end) for e in on_card.entities or ()
        ]
        assert_close([e.score for e in cpu.entities or ()], [e.score for e in on_card.entities or ()])
        if tagger:
            assert_close(cpu.inside.emissions, on_card.inside.emissions)
            assert_close(cpu.inside.marginals, on_card.inside.marginals)
        else:
            assert cpu.inside.prefixes
            assert on_card.inside.prefixes
            assert cpu.inside.prefixes.labels == on_card.inside.prefixes.labels
            assert cpu.inside.prefixes.commit_timestep == on_card.inside.prefixes.commit_timestep
            assert_close(cpu.inside.prefixes.scores, on_card.inside.prefixes.scores)


def in_both(pair: tuple[Analyst, Analyst], answer: Callable[[Analyst], object]) -> Iterator[object]:
    return iter([answer(analyst) for analyst in pair])


@pytest.mark.parametrize("method", sorted(METHODS))
def test_attributions_equal_the_cpus(pair: tuple[Analyst, Analyst], method: str) -> None:
    if pair[0].network.encoder.cell not in METHODS[method].cells:
        return
    timestep = 1 if pair[0].predictor.is_tagger else None
    options = Options(permutations=8) if "permutations" in METHODS[method].options else Options()
    question = Question(timestep=timestep, method=method, options=options)
    cpu, on_card = (a.attribute(a.predictor.prepare(TEXTS[0]), question) for a in pair)
    assert cpu.output == on_card.output
    assert_close(cpu.contributions, on_card.contributions)
    assert_close([cpu.logit, cpu.bias or 0], [on_card.logit, on_card.bias or 0])


def test_memory_fading_and_comparison_equal_the_cpus(pair: tuple[Analyst, Analyst]) -> None:
    reports = []
    for analyst in pair:
        first, second = (analyst.predictor.prepare(text) for text in (TEXTS[0], TEXTS[4]))
        selection = analyst.select(first, 0, "forward", None, None)
        measures = ("retention", "mass") if analyst.network.encoder.cell == "lstm" else ()
        reports.append(
            (
                analyst.memory(first, selection, measures),
                analyst.fading(first),
                analyst.compare_texts(first, second),
            )
        )
    (memory, fading, compared), (memory_card, fading_card, compared_card) = reports
    for name, matrix in memory.matrices.items():
        assert_close(matrix, memory_card.matrices[name])
    assert_close(memory.gradient_norm, memory_card.gradient_norm)
    assert_close(fading.value, fading_card.value)
    assert_close(compared.distance, compared_card.distance)


def test_interventions_equal_the_cpus(pair: tuple[Analyst, Analyst]) -> None:
    change, swept = Intervention("hidden_state", "scale", 0.5), Intervention("hidden_state", "zero")
    reports = [a.intervene(a.predictor.prepare(TEXTS[0]), [change], swept, "units") for a in pair]
    assert_close(reports[0].delta, reports[1].delta)
    assert_close(reports[0].swept, reports[1].swept)


def test_a_reduction_of_512_texts_copies_a_hundredth_of_their_tensors_once_a_batch(
    weights_dir: Path, card: Card
) -> None:
    predictor = Predictor(load_checkpoint(weights_dir / "tiny-zh-lstm"), card.device)
    texts, copied = ["我想吃汉堡" * 50] * 512, []
    for options in (Inspection(), Inspection(reduce=("mean",))):
        bytes_before, copies_before = card.copied, card.copies
        predictor.predict(texts, options)
        copied.append(card.copied - bytes_before)
        assert card.copies - copies_before == -(-512 * 250 // predictor.batch_tokens)
    tensors, reduced = copied
    assert tensors > 512 * 250 * 6 * 7 * 4
    assert 100 * reduced < tensors


def test_a_plain_prediction_copies_its_logits_alone(weights_dir: Path, card: Card) -> None:
    predictor = Predictor(load_checkpoint(weights_dir / "tiny-zh-lstm"), card.device)
    predictor.predict(TEXTS)
    assert (card.copied, card.copies) == (len(TEXTS) * 3 * 4, 1)


@pytest.mark.parametrize("name", ["tiny-zh-rnn", "tiny-zh-lstm", "tiny-zh-pooled", "tiny-zh-ner-lstm"])
def test_a_stream_on_the_card_has_the_cpus_states(name: str, weights_dir: Path, card: Card) -> None:
    states = []
    for device in (torch.device("cpu"), card.device):
        streamer = Streamer(Predictor(load_checkpoint(weights_dir / name), device, kernel="torch"))
        state = streamer.begin()
        for chunk in ("我想吃", "汉堡 北京", "很好 好"):
            [step] = streamer.run([streamer.prepare(state, chunk)])
            state = step.state
        states.append(state.hidden)
    assert_close(*states)
