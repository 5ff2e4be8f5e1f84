"""What each section of the page shows in one language: the fields of the templates. Nothing is measured here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from models.inference.analyst import Analyst
from service.pictures import canvas
from service.pictures.views import View, gather
from service.pictures.words import Language

from . import figures, gates, markdown, pairs
from .measurements import BELT_MODEL, MANY, Measurements, Models
from .parallel import UNITS
from .recall import SYMBOLS
from .texts import LONG, OPINIONS, REVIEW
from .words import SUFFIX, say

TABLE_DISTANCES = (0, 1, 5, 12, 30, 80, 200)  # the picture has all distances
ENOUGH = 100  # texts of a bin of lengths whose difference is told in the text

Fields = dict[str, object]


@dataclass(frozen=True)
class Page:
    """One language's: its words, its pictures beside the others' in one folder, and the models for those of a text."""

    language: Language
    pictures: Path
    models: Models

    def say(self, words: str, *numbers: object) -> str:
        return say(words, self.language, *numbers)

    def number(self, value: float | None) -> str:
        return self.say("beyond float64") if value is None else markdown.number(value)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
        return markdown.table([self.say(words) for words in header], rows)

    def draw(self, name: str, figure: Figure, alt: str) -> str:
        return self._put(name, canvas.write(figure, "image/png"), alt)

    def view(self, model: str, text: str, name: str, alt: str, timestep: int | None = None) -> str:
        """A picture as `render` draws it; a timestep's is of unit 0."""
        analyst = Analyst(self.models(model))
        options = View(name, 0, "forward", None, timestep, None, None, self.language)
        return self._put(name, gather(analyst, analyst.predictor.prepare(text), options)("image/png"), alt)

    def _put(self, name: str, picture: bytes, alt: str) -> str:
        path = self.pictures / f"{name}{SUFFIX[self.language]}.png"
        path.write_bytes(picture)
        return f"![{self.say(alt)}]({self.pictures.name}/{path.name})"


def influence(measured: Measurements, page: Page) -> Fields:
    """How the gradient fades in each pair."""
    stored = measured.influence
    rows = []
    for name, cells in stored.items():
        for cell, points in cells.items():
            medians, life = _medians(points), figures.stored_half_life(points)
            cells_of_row = [page.number(medians[d]) if d in medians else "" for d in TABLE_DISTANCES]
            rows.append([f"{name}-{cell}", *cells_of_row, page.number(life) if life else page.say("does not fade")])
    zh, en = 200, 30
    header = [page.say("model"), *(page.say("at {}", d) for d in TABLE_DISTANCES), page.say("half-life, tokens")]
    falls = {cell: _fall(stored["en-ner"][cell], en) for cell in pairs.CELLS}
    return {
        "influence_picture": page.draw(
            "influence",
            figures.influence(stored, page.language),
            "Median gradient norm against distance, for each RNN and LSTM pair",
        ),
        "influence_table": markdown.table(header, rows),
        "zh_distance": zh,
        "zh_times": page.number(_times(stored["zh-sentiment"], zh)),
        "en_distance": en,
        "en_times": page.number(_times(stored["en-sentiment"], en)),
        **{f"names_{cell}": page.number(fall) for cell, fall in falls.items()},
    }


def _medians(points: pairs.Rows) -> dict[int, float]:
    return {p["distance"]: p["median"] for p in points}


def _times(cells: Mapping[str, pairs.Rows], distance: int) -> float:
    """How many times the RNN's median the LSTM's is."""
    rnn, lstm = (_medians(cells[cell])[distance] for cell in pairs.CELLS)
    return lstm / rnn


def _fall(points: pairs.Rows, distance: int) -> float:
    """The share of the gradient by the last token that is left at this distance."""
    medians = _medians(points)
    return medians[distance] / medians[0]


def lengths(measured: Measurements, page: Page) -> Fields:
    """Accuracy by length of text for each pair."""
    stored = measured.by_length
    rows = [
        [
            name,
            figures.span(rnn),
            rnn["texts"],
            *(f"{r['figure']:.3f}" for r in (rnn, lstm)),
            f"{_gain(rnn, lstm):+.3f}",
        ]
        for name, cells in stored.items()
        for rnn, lstm in zip(cells["rnn"], cells["lstm"], strict=True)
    ]
    gains = [
        [_gain(rnn, lstm) for rnn, lstm in zip(cells["rnn"], cells["lstm"], strict=True) if rnn["texts"] >= ENOUGH]
        for cells in stored.values()
    ]
    of_pairs = [gains_of_pair for gains_of_pair in gains if gains_of_pair]
    return {
        "lengths_picture": page.draw(
            "by-length",
            figures.by_length(stored, page.language),
            "Accuracy or entity F1 by length of text, for each pair",
        ),
        "lengths_table": page.table(["pair", "tokens", "texts", "RNN", "LSTM", "LSTM − RNN"], rows),
        "enough": ENOUGH,
        "least_gain": f"{min(map(min, of_pairs)):+.3f}",
        "most_gain": f"{max(map(max, of_pairs)):+.3f}",
        "short_gain": f"{np.mean([gains_of_pair[0] for gains_of_pair in of_pairs]):+.3f}",
        "long_gain": f"{np.mean([gains_of_pair[-1] for gains_of_pair in of_pairs]):+.3f}",
    }


def _gain(rnn: Mapping[str, float], lstm: Mapping[str, float]) -> float:
    return lstm["figure"] - rnn["figure"]


def recall_task(measured: Measurements, page: Page) -> Fields:
    """The recall task."""
    effort = measured.effort
    rows = [
        [page.say(gaps), cell.upper(), *(f"{share:.2f}" for share in np.mean(seeds, axis=0))]
        for gaps, cells in measured.recall.items()
        for cell, seeds in cells.items()
    ]
    plain = figures.recall(effort.gaps, measured.recall["gaps of any length"], 1 / SYMBOLS, page.language)
    header = [page.say("trained on"), page.say("cell"), *(page.say("gap {}", gap) for gap in effort.gaps)]
    return {
        "symbols": SYMBOLS,
        "chance": f"{1 / SYMBOLS:.3f}",
        "units": effort.recipe.units,
        "steps": effort.recipe.steps,
        "batch": effort.recipe.batch_size,
        "longest": effort.recipe.longest,
        "seeds": effort.seeds,
        "growing_steps": effort.growing.steps,
        "rnn_plain": f"{_at_longest(measured.recall['gaps of any length']['rnn']):.2f}",
        "rnn_grown": f"{_at_longest(measured.recall['gaps that grow']['rnn']):.2f}",
        "recall_picture": page.draw("recall", plain, "Share of symbols named against the gap, RNN and LSTM"),
        "recall_table": markdown.table(header, rows),
    }


def _at_longest(seeds: Sequence[Sequence[float]]) -> float:
    """The mean over seeds of the share of symbols named after the longest gap."""
    return float(np.mean(seeds, axis=0)[-1])


def belt(measured: Measurements, page: Page) -> Fields:
    """One step of the cell, and what the cell state (the lecture's belt) keeps over one text."""
    text, word = LONG["zh"], "糟糕"
    cell = "The LSTM cell at one step, the step's numbers on every wire"
    memory = "What each token keeps of each earlier one, on the belt"
    fading = "The answer's gradient by each token, against its distance"
    lives = measured.half_lives
    return {
        "median_life": page.number(float(np.median(lives))),
        "tenth_life": page.number(float(np.quantile(lives, 0.9))),
        "longest_life": page.number(float(lives.max())),
        "belt_model": BELT_MODEL,
        "belt_text": text,
        "belt_token": word[0],
        "belt_word": word,
        "cell_picture": page.view(BELT_MODEL, text, "cell", cell, text.index(word)),
        "memory_picture": page.view(BELT_MODEL, text, "memory", memory),
        "fading_picture": page.view(BELT_MODEL, text, "fading", fading),
    }


def places(measured: Measurements, page: Page) -> Fields:
    """Gates at negations and at the borders of entities."""
    fields: Fields = {}
    for language in ("zh", "en"):
        negations, borders = measured.negations[language], measured.borders[language]
        fields[f"{language}_negations_table"] = _places(negations, page)
        fields[f"{language}_borders_table"] = _places(borders, page)
        for name, kind in (("negation", "negation"), ("after", "after one")):
            fields[f"{language}_{name}_times"] = page.number(_movement(negations, kind, "other"))
        for name, kind in (("first", "first"), ("past", "just after")):
            fields[f"{language}_{name}_times"] = page.number(_movement(borders, kind, "outside"))
        for name in ("first", "inside", "outside"):
            fields[f"{language}_{name}_forget"] = f"{borders.kinds[name]['forget_gate']:.3f}"
    text = OPINIONS["en"][0]
    alt = "Every gate of every unit over an English sentence with a negation"
    return {**fields, "negation_text": text, "gates_picture": page.view("en-sentiment-lstm", text, "gates", alt)}


def _places(found: gates.Places, page: Page) -> str:
    rows = [
        [page.say(kind), found.counts[kind], *(f"{v:.3f}" for v in means.values())]
        for kind, means in found.kinds.items()
    ]
    return page.table(["place", "count", *gates.MEASURED], rows)


def _movement(found: gates.Places, kind: str, beside: str) -> float:
    """How many times as far the belt moves at a kind of place as beside it."""
    return found.kinds[kind]["belt"] / found.kinds[beside]["belt"]


def training(measured: Measurements, page: Page) -> Fields:
    """The time of a training step against T."""
    sizes: Fields = {"training_units": UNITS, "threads": torch.get_num_threads(), "many": MANY}
    one, many = measured.one, measured.many
    if one is None or many is None:
        untimed = page.say("The short form of this page times nothing.")
        return {**sizes, "training_picture": untimed, "training_table": ""}
    columns = zip(one.timesteps, one.recurrent_ms, one.feed_forward_ms, one.ratios, many.ratios, strict=True)
    rows = [[t, *(f"{value:.1f}" for value in values)] for t, *values in columns]
    header = [
        "T",
        page.say("LSTM, ms"),
        page.say("feed-forward, ms"),
        page.say("ratio"),
        page.say("ratio, {} texts", MANY),
    ]
    alt = "Time of a training step against T, recurrent and feed-forward"
    return {
        **sizes,
        "training_picture": page.draw("training", figures.training(one, page.language), alt),
        "training_table": markdown.table(header, rows),
    }


def explanation(measured: Measurements, page: Page) -> Fields:
    """Which characters made the label, by the model's default method."""
    alt = "A Chinese hotel review, each character shaded by what it gave to the label"
    return {"highlight_picture": page.view(BELT_MODEL, REVIEW, "highlight", alt)}
