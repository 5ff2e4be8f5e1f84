"""The lecture's pages in their short form; and that those in docs/ agree with the stored evaluations."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from torch import nn

from lecture import figures, gates, measurements, pairs, recall
from lecture.__main__ import SHORT, write
from lecture.markdown import number
from lecture.parallel import UNITS, Steps, feed_forward
from lecture.words import SUFFIX
from models.checkpoint.checkpoint import load_checkpoint
from models.inference.inspection import Inspection
from models.inference.predictor import Predictor
from service.pictures import canvas
from tests.drawn_words import assert_legible, words

ROOT = Path(__file__).parent.parent
NAMES = re.compile(  # of models, cells, labels, methods, symbols and quantities: the same in every language
    r"(en|zh)-(ner|news|sentiment)(-(rnn|lstm))?|RNN|LSTM|NER|F1|logit|negative|positive|tanh|"
    r"integrated_gradients|gradient_x_input|cell_additive|occlusion|prefix|secant|shapley|\\times"
)


@dataclass(frozen=True)
class Made:
    """What one run of the command made: the English page and the Chinese one, and every figure in its order."""

    english: Path
    chinese: Path
    figures: list[Figure]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    drawn: list[Figure] = []
    draw = canvas.write

    def kept(figure: Figure, media_type: str) -> bytes:
        drawn.append(figure)
        return draw(figure, media_type)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canvas, "write", kept)
        english, chinese = write(ROOT / "weights", tmp_path_factory.mktemp("docs"), SHORT, lambda message: None)
    return Made(english, chinese, drawn)


@pytest.fixture(scope="module")
def page(made: Made) -> Path:
    return made.english


def linked(page: Path) -> list[Path]:
    return [page.parent / name for name in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text("utf-8"))]


def test_every_picture_is_linked_and_every_link_is_a_picture(made: Made) -> None:
    for english, chinese in ((made.english, made.chinese), (ROOT / "docs/lecture.md", ROOT / "docs/lecture.zh-CN.md")):
        in_english, in_chinese = linked(english), linked(chinese)
        assert len(in_english) >= 7
        assert [p.name.replace(".png", ".zh-CN.png") for p in in_english] == [p.name for p in in_chinese]
        assert {*in_english, *in_chinese} == set((english.parent / "lecture").iterdir())
        assert all(p.read_bytes().startswith(b"\x89PNG") for p in (*in_english, *in_chinese))


@pytest.mark.parametrize("suffix", SUFFIX.values())
def test_the_pages_in_docs_tell_what_is_stored(page: Path, suffix: str) -> None:
    """All rows from `evaluation.json` are the same in docs/; so a new evaluation needs `make lecture`."""

    def stored(written: Path) -> list[str]:
        text = written.read_text("utf-8")
        return [line for line in text[: text.index("## 3.")].splitlines() if line.startswith("|")]

    written = page.with_name(f"lecture{suffix}.md")
    assert len(stored(written)) > 20
    assert stored(written) == stored(ROOT / f"docs/lecture{suffix}.md")


@pytest.mark.parametrize("suffix", SUFFIX.values())
def test_the_sections_of_a_page_are_those_in_docs(page: Path, suffix: str) -> None:
    def titles(written: Path) -> list[str]:
        return re.findall("^#.*$", written.read_text("utf-8"), re.MULTILINE)

    assert titles(page.with_name(f"lecture{suffix}.md")) == titles(ROOT / f"docs/lecture{suffix}.md")


def test_both_pages_tell_the_same_numbers(made: Made) -> None:
    def numbers(written: Path) -> Counter[str]:
        return Counter(re.findall(r"[-+]?\d+(?:\.\d+)?(?:e[-+]\d+)?", written.read_text("utf-8")))

    assert numbers(made.english).total() > 200
    assert numbers(made.english) == numbers(made.chinese)
    assert numbers(ROOT / "docs/lecture.md") == numbers(ROOT / "docs/lecture.zh-CN.md")


def test_both_templates_use_the_same_fields() -> None:
    english, chinese = (
        set(Template((ROOT / f"lecture/template{suffix}.md").read_text("utf-8")).get_identifiers())
        for suffix in SUFFIX.values()
    )
    assert english == chinese


def test_the_pages_link_each_other() -> None:
    for readme, suffix, other in (("README.md", "", ".zh-CN"), ("README.zh-CN.md", ".zh-CN", "")):
        assert f"](docs/lecture{suffix}.md)" in (ROOT / readme).read_text("utf-8")
        assert f"](lecture{other}.md)" in (ROOT / f"docs/lecture{suffix}.md").read_text("utf-8")


def words_in(figure: Figure) -> list[str]:
    return [text.get_text().strip() for text in words(figure)]


def of_the_chinese_page(made: Made) -> list[Figure]:
    """Its pictures, and that of timings, which the short form does not draw."""
    steps = Steps((16, 32), (1.0, 2.0), (1.0, 1.5))
    timed = figures.training(steps, "zh")
    canvas.write(timed, "image/png")
    return [*made.figures[len(made.figures) // 2 :], timed]


def test_a_chinese_picture_says_nothing_in_english(made: Made) -> None:
    """But names, and the English sentence whose gates are shown."""
    read = set(re.findall("[A-Za-z]+", measurements.OPINIONS["en"][0]))
    for figure in of_the_chinese_page(made):
        for drawn in words_in(figure):
            english = set(re.findall("[A-Za-z]{2,}", NAMES.sub("", re.sub(r"\$[^$]*\$", "", drawn))))
            assert english <= read, drawn


def test_a_chinese_picture_differs_from_the_english_one_in_its_words_alone(made: Made) -> None:
    """The curves are the same numbers: nothing was measured twice."""
    half = len(made.figures) // 2
    for english, chinese in zip(made.figures[:half], made.figures[half:], strict=True):
        assert words_in(english) != words_in(chinese)
        for of_english, of_chinese in zip(english.axes, chinese.axes, strict=True):
            lines = [
                np.concatenate([np.ravel(line.get_xydata()) for line in axes.lines] or [np.zeros(0)])
                for axes in (of_english, of_chinese)
            ]
            np.testing.assert_array_equal(*lines)


def test_the_fonts_have_every_character_of_a_chinese_picture(made: Made) -> None:
    families = canvas.font().get_family()
    known = {chr(code) for family in families for code in get_font(findfont(family)).get_charmap()}
    for figure in of_the_chinese_page(made):
        for drawn in words_in(figure):
            assert set(drawn) - {"\n"} <= known, drawn


def test_no_words_of_a_chinese_picture_overlap_or_leave_it(made: Made) -> None:
    for figure in of_the_chinese_page(made):
        assert_legible(figure)


def test_pairs_share_data_and_lengths() -> None:
    for name, cells in pairs.stored(ROOT / "weights", "by_length").items():
        rnn, lstm = (pairs.evaluation(ROOT / "weights" / f"{name}-{cell}") for cell in pairs.CELLS)
        assert (rnn["data"], rnn["texts"]) == (lstm["data"], lstm["texts"])
        assert [(r["from"], r["to"], r["texts"]) for r in cells["rnn"]] == [
            (r["from"], r["to"], r["texts"]) for r in cells["lstm"]
        ]


def test_a_task_of_no_gap_is_learned_and_an_untrained_network_guesses() -> None:
    learned = recall.Recipe(units=16, steps=150, longest=2, tested=256)
    assert recall.recall("lstm", [1], learned, seed=0) == [1.0]
    untrained = recall.Recipe(units=16, steps=0, tested=2048)
    assert recall.recall("rnn", [20], untrained, seed=0)[0] < 3 / recall.SYMBOLS


def test_a_text_to_recall_is_one_symbol_and_noise() -> None:
    ids, symbol = recall.draw(100, 7, torch.Generator().manual_seed(1))
    assert ids.shape == (100, 8)
    assert torch.equal(ids[:, 0], symbol)
    assert int(symbol.max()) < recall.SYMBOLS <= int(ids[:, 1:].min())
    assert int(ids.max()) < recall.SYMBOLS + recall.NOISE


def test_the_recaller_is_a_plain_recurrence() -> None:
    torch.manual_seed(0)
    network = recall.Recaller("rnn", 5)
    weights = network.recurrence.weights
    ids = torch.randint(16, (3, 6))
    state = torch.zeros(3, 5)
    for x in network.embedding(ids).unbind(1):
        state = torch.tanh(x @ weights.weight_ih.T + weights.bias_ih + state @ weights.weight_hh.T + weights.bias_hh)
    torch.testing.assert_close(network(ids), network.head(state))


def test_the_feed_forward_layer_costs_what_the_lstm_costs() -> None:
    lstm, layer = nn.LSTM(UNITS, UNITS), feed_forward(UNITS)
    products = [sum(p.numel() for p in network.parameters() if p.ndim == 2) for network in (lstm, layer)]
    assert products[0] == products[1]


def test_negations_are_marked_with_the_token_after() -> None:
    predictor = Predictor(load_checkpoint(ROOT / "weights/zh-sentiment-lstm"), torch.device("cpu"))
    (prediction,) = predictor.predict(["房间不干净"])
    assert gates.negations(["不"])(prediction) == ["other", "other", "negation", "after one", "other"]


def test_borders_are_those_of_the_entities_found() -> None:
    predictor = Predictor(load_checkpoint(ROOT / "weights/zh-ner-lstm"), torch.device("cpu"))
    (prediction,) = predictor.predict(["李华住在北京和上海。"])
    assert prediction.entities
    marked = gates.borders(prediction)
    for entity in prediction.entities:
        first = next(t for t, token in enumerate(prediction.tokens) if token.start == entity.start)
        assert marked[first] == "first"
    kinds = dict(zip((t.text for t in prediction.tokens), marked, strict=True))
    assert (kinds["北"], kinds["京"], kinds["和"]) == ("first", "inside", "just after")


def test_places_are_means_over_tokens_and_units() -> None:
    predictor = Predictor(load_checkpoint(ROOT / "weights/zh-sentiment-lstm"), torch.device("cpu"))
    text = "房间不干净"
    (prediction,) = predictor.predict([text], Inspection())
    assert prediction.inside is not None
    values = {name: v[0, 0].astype(np.float64) for name, v in prediction.inside.tensors.items()}
    places = gates.at_places(predictor, [text], gates.negations(["不"]))
    assert places.counts == {"other": 2, "negation": 1, "after one": 1}
    assert places.kinds["other"]["forget_gate"] == pytest.approx(values["forget_gate"][[1, 4]].mean(), abs=1e-6)
    change = values["cell_state"][2] - values["cell_state"][1]
    assert places.kinds["negation"]["belt"] == pytest.approx(np.linalg.norm(change) / np.sqrt(len(change)), abs=1e-6)


def test_a_stored_half_life_is_that_of_its_exponential() -> None:
    rows = [{"distance": d, "median": 3 * 0.5 ** (d / 7)} for d in (0, 1, 2, 5, 9, 20)]
    assert figures.stored_half_life(rows) == pytest.approx(7)


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (1.2345, "1.23"), (2.9e-13, "2.9e-13"), (67.31, "67.3")])
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_effort_short_times_nothing() -> None:
    assert measurements.Effort().timesteps
    assert not SHORT.timesteps
