"""The lecture's page in its short form; and that the page in docs/ agrees with the stored evaluations."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lecture import figures, gates, pairs, recall, sections
from lecture.__main__ import SHORT, write
from lecture.markdown import number
from lecture.parallel import UNITS, feed_forward
from models.checkpoint.checkpoint import load_checkpoint
from models.inference.inspection import Inspection
from models.inference.predictor import Predictor

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(ROOT / "weights", tmp_path_factory.mktemp("docs"), SHORT, lambda message: None)


def linked(page: Path) -> list[Path]:
    return [page.parent / name for name in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text("utf-8"))]


def test_every_picture_is_linked_and_every_link_is_a_picture(page: Path) -> None:
    for written in (page, ROOT / "docs/lecture.md"):
        pictures = linked(written)
        assert len(pictures) >= 7
        assert set(pictures) == set((written.parent / "lecture").iterdir())
        assert all(p.read_bytes().startswith(b"\x89PNG") for p in pictures)


def test_the_page_in_docs_tells_what_is_stored(page: Path) -> None:
    """All rows from `evaluation.json` are the same in docs/; so a new evaluation needs `make lecture`."""

    def stored(written: Path) -> list[str]:
        text = written.read_text("utf-8")
        return [line for line in text[: text.index("## 3.")].splitlines() if line.startswith("|")]

    assert len(stored(page)) > 30
    assert stored(page) == stored(ROOT / "docs/lecture.md")


def test_the_sections_of_both_pages_are_the_same(page: Path) -> None:
    def titles(written: Path) -> list[str]:
        return re.findall("^#.*$", written.read_text("utf-8"), re.MULTILINE)

    assert titles(page) == titles(ROOT / "docs/lecture.md")


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


@pytest.mark.parametrize(
    ("value", "text"), [(None, "beyond float64"), (0.0, "0"), (1.2345, "1.23"), (2.9e-13, "2.9e-13"), (67.31, "67.3")]
)
def test_numbers_have_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_effort_short_times_nothing() -> None:
    assert sections.Effort().timesteps
    assert not SHORT.timesteps
