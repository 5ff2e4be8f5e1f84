"""A text fed in any chunks is answered as the whole text: labels, entities, states and emissions."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.analysis.interventions import Intervention
from models.checkpoint.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from models.errors import NotStreamable, OptionError, TooManyCharacters, TooManyTokens
from models.inference.analyst import Analyst
from models.inference.filtering import Excerpt, Reading, TaggedTokens
from models.inference.inspection import Inspection, Select, Timesteps
from models.inference.prediction import Prediction
from models.inference.predictor import Predictor
from models.inference.stream_state import StreamState
from models.inference.streaming import Streamer
from models.inference.turns import Step
from models.runtime.cpu.kernel import available
from tests.conftest import NER, TINY, WORDS, Tiny, make_checkpoint
from tests.models.text.test_chunks import joined, utf16

SHIPPED = [f.name for f in sorted(Path("weights").iterdir()) if f.name.endswith(("-rnn", "-lstm"))]
TEXTS = {
    "zh": "中国女排在北京战胜了巴西队，郎平说\n这场比赛😀👨\u200d👩\u200d👧并不轻松！！ John Smith from Google",
    "en": "John Smith from Google in\r\n\r\nLondon didn't visit http://example.com/x?y=1 !!! It's <b>great</b> 😀🇨🇳. U.S. New  York",
}
MORE = {
    "pooled-rnn": Tiny(cell="rnn", reads="mean_max", layers=2),
    "deep-lstm": Tiny(layers=3, units=5, language="en", kinds=(*WORDS, "bigram")),
    "deep-ner": Tiny(task=NER, layers=2, language="en", kinds=WORDS, seed=9),
    "mixed-lstm": Tiny(kinds=("token", "bigram", "gap"), seed=4),
    "mixed-ner": Tiny(task=NER, kinds=("token", "bigram", "gap"), seed=6),
}
FORWARD = {name: tiny for name, tiny in (TINY | MORE).items() if tiny.directions == ("forward",)}
KERNELS = ["torch", *(kernel.name for kernel in available())]
MakeCheckpoint = Callable[..., Checkpoint]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("streams")
    for name, tiny in FORWARD.items():
        checkpoint = make_checkpoint(name, tiny)
        if name.startswith("mixed"):
            manifest = checkpoint.manifest.model_copy(update={"tokenizer": "mixed"})
            checkpoint = replace(checkpoint, manifest=manifest)
        save_checkpoint(folder / name, checkpoint, torch.float32)
    return {name: folder / name for name in FORWARD}


def streamer(path: Path, kernel: str = "auto") -> Streamer:
    return Streamer(Predictor(load_checkpoint(path), torch.device("cpu"), kernel=kernel))


def chunks(text: str, seed: int) -> list[str]:
    """Cut between any two UTF-16 units; seed 0: between all."""
    units, draw = utf16(text), random.Random(seed)
    cuts = sorted(draw.sample(range(1, len(units)), draw.randrange(12))) if seed else range(1, len(units))
    return [joined(units[a:b]) for a, b in zip([0, *cuts], [*cuts, len(units)], strict=True)]


@dataclass
class Fed:
    """After a chunk: the text so far, the step and the entities that were final before it."""

    text: str
    step: Step
    final: list[tuple[str, int, int]]


def fed(stream: Streamer, parts: list[str], after: int | None, shown: Inspection) -> Iterator[Fed]:
    """Feed these chunks, each from the state that the last one left, through its bytes."""
    state, units, final = stream.begin(), "", []
    for part in parts:
        [step] = stream.run([stream.prepare(state, part, stream.plan(shown), after)])
        raw = stream.layout.pack(step.state)
        assert len(raw) == stream.layout.size
        state, units = stream.layout.unpack(raw), joined(utf16(units + part))
        visible = units[:-1] if "\ud800" <= units[-1] <= "\udbff" else units
        if visible.strip():
            yield Fed(visible, step, list(final))
        final += [(e.label, e.start, e.end) for a in step.answers for e in a.entities or () if e.final]


def assert_same(predictor: Predictor, got: Fed, exact: bool, shown: Inspection) -> None:
    [want] = predictor.predict([got.text], shown)
    close = (
        np.testing.assert_array_equal if exact else lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=2e-6)
    )
    assert got.step.timestep == len(want.tokens)
    if not got.step.answers:
        return
    last = got.step.answers[-1]
    assert (last.timestep, last.known_fraction) == (len(want.tokens), want.known_fraction)
    first = got.step.turn.state.timestep
    if last.scores is not None:
        close(last.logits, want.logits)
        assert not exact or last.scores == want.scores
    else:
        assert_same_entities(got, want)
        close(np.concatenate([a.logits for a in got.step.answers]), want.logits[first:])
    assert want.inside is not None
    for answer in got.step.answers:
        if answer.inside is None:  # nothing new was read
            continue
        steps = list(answer.inside.selection.timesteps)
        for name, values in answer.inside.tensors.items():
            close(values, want.inside.tensors[name][:, :, steps])
        assert answer.inside.certificate.recurrence_max_abs_error < 2e-5
    if last.inside is not None and last.inside.marginals is not None and want.inside.marginals is not None:
        steps = list(last.inside.selection.timesteps)
        np.testing.assert_allclose(last.inside.marginals, want.inside.marginals[steps], atol=1e-5)


def assert_same_entities(got: Fed, want: Prediction) -> None:
    """Those that were final before and those given now are the whole text's, none twice."""
    assert want.entities is not None
    final = got.final + [(e.label, e.start, e.end) for a in got.step.answers[:-1] for e in a.entities or () if e.final]
    now = got.step.answers[-1].entities or ()
    whole = {(e.label, e.start, e.end): e for e in want.entities}
    assert [*final, *((e.label, e.start, e.end) for e in now)] == list(whole)
    for e in now:
        same = whole[(e.label, e.start, e.end)]
        assert e.text == same.text == got.text[e.start : e.end]
        assert e.score == pytest.approx(same.score, abs=2e-5)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", FORWARD)
def test_any_chunks_give_the_answers_states_and_emissions_of_the_whole(
    name: str, kernel: str, checkpoints: dict[str, Path]
) -> None:
    stream = streamer(checkpoints[name], kernel)
    shown = Inspection(token_scores=stream.predictor.is_tagger, preactivations=True)
    for seed, after in ((0, 0), (1, None), (2, None)):
        for got in fed(stream, chunks(TEXTS[FORWARD[name].language], seed), after, shown):
            assert_same(stream.predictor, got, kernel != "torch", shown)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_reads_chunks_as_the_whole(name: str) -> None:
    stream = streamer(Path("weights") / name)
    exact = stream.predictor.runner.kernel != "torch"
    for seed in (0, 1):
        for got in fed(stream, chunks(TEXTS[name[:2]], seed), None if seed else 0, Inspection()):
            assert_same(stream.predictor, got, exact, Inspection())


@pytest.mark.parametrize("name", FORWARD)
def test_streams_of_one_batch_answer_as_alone(name: str, checkpoints: dict[str, Path]) -> None:
    stream = streamer(checkpoints[name])
    parts = [chunks(text, seed)[:6] for text in TEXTS.values() for seed in range(6)]
    alone = [stream.begin() for _ in parts]
    together = list(alone)
    for n in range(max(map(len, parts))):
        turns = [(i, text[n]) for i, text in enumerate(parts) if n < len(text)]
        steps = stream.run([stream.prepare(together[i], chunk, None, 0) for i, chunk in turns])
        for (i, chunk), step in zip(turns, steps, strict=True):
            [single] = stream.run([stream.prepare(alone[i], chunk, None, 0)])
            alone[i], together[i] = single.state, step.state
            if stream.predictor.runner.kernel != "torch":
                assert stream.layout.pack(single.state) == stream.layout.pack(step.state)
            for one, other in zip(single.answers, step.answers, strict=True):
                np.testing.assert_allclose(one.logits, other.logits, atol=1e-6)
                assert one.timestep == other.timestep
                if stream.predictor.runner.kernel != "torch":
                    assert one.entities == other.entities  # their scores too, bit for bit


def test_a_state_has_one_size_whatever_was_read(checkpoints: dict[str, Path]) -> None:
    for path in checkpoints.values():
        stream = streamer(path)
        state, sizes = stream.begin(), set()
        for chunk in ("好", "的 " * 100, "x" * 500, "\n" * 999, "👨\u200d" * 90, "北京 London " * 60):
            [step] = stream.run([stream.prepare(state, chunk)])
            state = step.state
            sizes.add(len(stream.layout.pack(state)))
        assert sizes == {stream.layout.size}


def test_bytes_of_another_size_are_no_state(checkpoints: dict[str, Path]) -> None:
    layout = streamer(checkpoints["tiny-zh-lstm"]).layout
    for size in (0, layout.size - 1, layout.size + 1):
        with pytest.raises(ValueError, match="a state of this model has"):
            layout.unpack(bytes(size))


def test_what_is_forgotten_here_leaves_the_suffix_alone(tiny_checkpoint: MakeCheckpoint) -> None:
    """f = 0 and h reset at a step of a one-layer forward model: what follows is as if nothing had been read before."""
    predictor = Predictor(tiny_checkpoint(kinds=("token",), units=9), torch.device("cpu"))
    stream, text = Streamer(predictor), "中国女排在北京战胜了巴西队"
    for s in range(1, len(text)):
        [alone] = predictor.predict([text[s:]])
        [before] = stream.run([stream.prepare(stream.begin(), f"{text[:s]} ")])
        assert before.state.timestep == s  # the blank settles the last character
        forgotten = before.state._replace(hidden=np.zeros((1, 9), np.float32), cell=np.zeros((1, 9), np.float32))
        [after] = stream.run([stream.prepare(forgotten, text[s:])])
        np.testing.assert_allclose(after.answers[0].logits, alone.logits, atol=1e-6)
        changes = [_zero("forget_gate", s), _zero("hidden_state", s - 1)]
        report = Analyst(predictor).intervene(predictor.prepare(text), changes, None, None)
        np.testing.assert_allclose(report.intervened.logits, alone.logits, atol=1e-6)


def _zero(target: str, timestep: int) -> Intervention:
    return Intervention(target, "zero", timesteps=(timestep,))


@pytest.mark.parametrize("name", ["tiny-en-bilstm", "tiny-en-ner-bilstm"])
def test_a_model_that_reads_backwards_too_says_which_can_stream(name: str, weights_dir: Path) -> None:
    with pytest.raises(NotStreamable, match=f"{name} reads both directions.*ask a forward-only model"):
        streamer(weights_dir / name)


def test_a_state_too_large_to_travel_is_no_stream(tiny_checkpoint: MakeCheckpoint) -> None:
    predictor = Predictor(tiny_checkpoint(units=3000, layers=2), torch.device("cpu"), kernel="torch")
    with pytest.raises(NotStreamable, match=r"has a state of \d+ bytes, and at most 48000 travel"):
        Streamer(predictor)


def test_a_chunk_is_bounded_and_the_text_is_not(checkpoints: dict[str, Path]) -> None:
    stream = streamer(checkpoints["tiny-zh-lstm"])
    with pytest.raises(TooManyCharacters):
        stream.prepare(stream.begin(), "好" * 2001)
    with pytest.raises(TooManyTokens):
        stream.prepare(stream.begin(), "好" * 601)
    state: StreamState = stream.begin()
    for _ in range(20):
        [step] = stream.run([stream.prepare(state, "好" * 600)])
        state = step.state
    assert step.timestep == 12000


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (Inspection(select=Select(timesteps=Timesteps(1))), "select.timesteps is set"),
        (Inspection(prefix_predictions=True), "prefix_predictions is not for streams"),
    ],
)
def test_what_a_stream_cannot_show_is_an_error(shown: Inspection, reason: str, checkpoints: dict[str, Path]) -> None:
    with pytest.raises(OptionError, match=reason):
        streamer(checkpoints["tiny-zh-lstm"]).plan(shown)


def test_an_entity_longer_than_the_window_is_given_in_parts_that_cover_it(checkpoints: dict[str, Path]) -> None:
    """Every token is I-PER here: the whole is one entity, and a stream keeps a few at most."""
    stream = streamer(checkpoints["tiny-zh-ner-lstm"])
    assert stream.filter is not None
    emissions = np.zeros((200, len(stream.filter.tags)), np.float32)
    emissions[:, stream.filter.tags.index("I-PER")] = 50.0
    emissions[0, stream.filter.tags.index("B-PER")] = 90.0
    window, given = stream.filter.begin(), []
    text = Excerpt("好" * 200, 0, 0)
    for n in range(200):
        reading = Reading(window, TaggedTokens([n], [n + 1], emissions[n : n + 1]))
        (columns,) = stream.filter.columns([reading])
        excerpt = text.since(window.excerpt.offset, n + 1)
        entities, window = stream.filter.read(reading, columns, excerpt, 1, n + 1)
        given += [(e.start, e.end) for e in entities if e.final]
        assert len(window.starts) <= stream.layout.window
    covered = [*given, (entities[-1].start, entities[-1].end)]
    assert [start for start, _ in covered[1:]] == [end for _, end in covered[:-1]]
    assert (covered[0][0], covered[-1][1]) == (0, 200)
