"""What a person sees: nothing overlaps, nothing is cut off, and what is left out is said."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from models import Analyst, Predictor, Timesteps, load_checkpoint
from models.checkpoint.checkpoint import save_checkpoint
from models.inference.analyst import Question
from service.pictures import canvas
from service.pictures.views import MOST_BARS, VIEWS, View
from service.pictures.words import SENTENCES, WORDS, Language
from tests.conftest import TINY, make_checkpoint
from tests.drawn_words import assert_legible, boxes, words

ZH = "酒店不错，服务很好。中国女排在北京战胜了巴西队，我想吃汉堡！"
EN = "The internationalization-of-everything $5 service wasn't bad, John Smith doesn't live in London. "


@pytest.fixture(scope="module")
def analysts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Analyst]:
    folder = tmp_path_factory.mktemp("weights")
    found = {}
    for name in ("tiny-zh-lstm", "tiny-en-bilstm", "tiny-zh-rnn"):
        save_checkpoint(folder / name, make_checkpoint(name, TINY[name]), torch.float32)
        found[name] = Analyst(Predictor(load_checkpoint(folder / name), torch.device("cpu")))
    return found


def drawn(analyst: Analyst, text: str, view: str, language: Language, **more: Any) -> Figure:
    """The laid out figure, with the fonts that the bytes have."""
    fields = {"layer": 0, "direction": "forward", "target": None, "timestep": None, "timesteps": None, "units": None}
    asked = View(view, language=language, **{**fields, **more})  # type: ignore[arg-type]
    figure = VIEWS[view].gather(analyst, analyst.predictor.prepare(text), asked)()
    canvas.write(figure, "image/png")
    return figure


CASES = [
    ("tiny-zh-lstm", ZH, {}),
    ("tiny-zh-lstm", ZH * 12, {}),
    ("tiny-en-bilstm", EN, {}),
    ("tiny-en-bilstm", EN * 8, {}),
]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("model", "text", "more"), CASES, ids=["zh", "zh-long", "en", "en-long"])
def test_no_words_overlap_or_leave_the_picture(
    analysts: dict[str, Analyst], model: str, text: str, more: dict[str, Any], view: str, language: Language
) -> None:
    if view == "cell":
        more = {**more, "timestep": 1}
    figure = drawn(analysts[model], text, view, language, **more)
    assert_legible(figure)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_has_its_sentence(analysts: dict[str, Analyst], view: str, language: Language) -> None:
    figure = drawn(analysts["tiny-zh-lstm"], ZH, view, language, **({"timestep": 0} if view == "cell" else {}))
    written = "".join(t.get_text() for t in words(figure)).replace("\n", "").replace(" ", "")
    assert SENTENCES[view][language].replace(" ", "") in written


@pytest.mark.parametrize("more", [{}, {"timesteps": Timesteps(5, 40)}, {"timesteps": Timesteps(0, 300, 3)}])
def test_bars_boxes_notes_and_bias_add_up_to_the_logit(analysts: dict[str, Analyst], more: dict[str, Any]) -> None:
    analyst, text = analysts["tiny-zh-lstm"], ZH * 12
    figure = drawn(analyst, text, "attribution", "en", **more)
    found = analyst.attribute(analyst.predictor.prepare(text), Question())
    bars = [patch.get_height() for patch in figure.axes[0].patches if hasattr(patch, "get_height")]
    if not more:
        assert len(bars) == MOST_BARS
    lines = "\n".join(t.get_text() for t in words(figure)).split("\n")
    sums = [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(("characters", "not shown"))]
    assert sums
    bias = found.bias or 0.0
    assert sum(bars) + sum(sums) + bias == pytest.approx(found.logit, abs=2e-3 + found.completeness_error)
    assert any(f"bias {bias:+.3f}" in line for line in lines)


def test_the_window_is_where_most_is_contributed(analysts: dict[str, Analyst]) -> None:
    analyst, text = analysts["tiny-zh-lstm"], ZH * 12
    found = np.abs(analyst.attribute(analyst.predictor.prepare(text), Question()).contributions)
    figure = drawn(analyst, text, "attribution", "en")
    bars = sum(abs(patch.get_height()) for patch in figure.axes[0].patches if hasattr(patch, "get_height"))
    assert bars == pytest.approx(max(found[n : n + MOST_BARS].sum() for n in range(len(found) - MOST_BARS + 1)))


def test_a_paragraph_shows_every_token_of_a_long_text_in_lines(analysts: dict[str, Analyst]) -> None:
    figure = drawn(analysts["tiny-zh-lstm"], ZH * 10, "highlight", "zh")
    tokens = [t for t in figure.axes[0].texts if t.get_text().strip()]
    assert "".join(t.get_text() for t in tokens) == ZH * 10
    assert len({round(t.get_position()[1]) for t in tokens}) > 3


def test_a_long_word_is_shortened_on_the_diagram_and_whole_below_it(analysts: dict[str, Analyst]) -> None:
    figure = drawn(analysts["tiny-en-bilstm"], EN, "cell", "en", timestep=1)
    texts = [t.get_text() for t in words(figure)]
    assert any("interna…" in text for text in texts)
    assert any("internationalization-of-everything" in text.replace("\n", " ") for text in texts)


def test_maps_of_a_long_text_say_what_they_leave_out(analysts: dict[str, Analyst]) -> None:
    for view in ("gates", "memory"):
        figure = drawn(analysts["tiny-zh-lstm"], ZH * 12, view, "en")
        assert any("not shown: 232 tokens (shown: 232 … 359)" in t.get_text() for t in words(figure))


def test_the_font_has_every_character_of_our_words() -> None:
    from matplotlib.ft2font import FT2Font

    has = FT2Font(str(canvas._FONT)).get_charmap()
    ours = [*WORDS.values(), *(sentence["zh"] for sentence in SENTENCES.values())]
    assert not {c for text in ours for c in text if ord(c) not in has}


@pytest.mark.parametrize("view", ["attribution", "highlight"])
def test_long_names_of_labels_stay_inside(view: str) -> None:
    checkpoint = make_checkpoint("tiny-zh-lstm", TINY["tiny-zh-lstm"])
    labels = tuple(f"a label whose name says at length what it means, number {n}, " * 2 for n in range(3))
    analyst = Analyst(Predictor(replace(checkpoint, labels=labels), torch.device("cpu")))
    figure = drawn(analyst, ZH, view, "en")
    assert any("what it means" in text.replace("\n", " ") for text, _ in boxes(figure))
    for text, box in boxes(figure):
        assert box[0, 0] >= -1, text
        assert box[1, 0] <= figure.bbox.width + 1, text
        assert box[1, 1] <= figure.bbox.height + 1, text
