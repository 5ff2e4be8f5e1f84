"""What each section of the page measures and draws: the fields of `template.md`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from models.analysis.reductions import half_life
from models.checkpoint.checkpoint import load_checkpoint
from models.inference.analyst import Analyst
from models.inference.inspection import Inspection
from models.inference.predictor import Predictor
from service.pictures import canvas
from service.pictures.views import View, gather

from . import figures, gates, pairs
from .markdown import number, table
from .parallel import UNITS, training_steps
from .recall import SYMBOLS, Recipe, recall
from .texts import LONG, NEGATIONS, NEWS, OPINIONS, REVIEW

TABLE_DISTANCES = (0, 1, 5, 12, 30, 80, 200)  # the picture has all distances
MANY = 16  # texts in a batch, compared with one text

Fields = dict[str, object]


@dataclass(frozen=True)
class Effort:
    """How much is trained and timed. timesteps empty: nothing is timed."""

    recipe: Recipe = field(default_factory=Recipe)
    growing: Recipe = field(default_factory=lambda: Recipe(steps=2500, grows=True))
    gaps: tuple[int, ...] = (5, 10, 20, 50, 100, 150, 200)
    seeds: int = 3
    timesteps: tuple[int, ...] = (16, 32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Desk:
    """The folders of models and pictures, the effort, and `say`, which reports progress."""

    weights: Path
    pictures: Path
    effort: Effort
    say: Callable[[str], None]

    def predictor(self, name: str) -> Predictor:
        return Predictor(load_checkpoint(self.weights / name), torch.device("cpu"))

    def draw(self, name: str, figure: Figure, alt: str) -> str:
        return self._put(name, canvas.write(figure, "image/png"), alt)

    def view(self, model: str, text: str, name: str, alt: str, timestep: int | None = None) -> str:
        """A picture as `render` draws it; a timestep's is of unit 0."""
        analyst = Analyst(self.predictor(model))
        options = View(name, 0, "forward", None, timestep, None, None, "en")
        return self._put(name, gather(analyst, analyst.predictor.prepare(text), options)("image/png"), alt)

    def _put(self, name: str, picture: bytes, alt: str) -> str:
        (self.pictures / f"{name}.png").write_bytes(picture)
        return f"![{alt}]({self.pictures.name}/{name}.png)"


def influence(desk: Desk) -> Fields:
    """How the gradient fades in each pair."""
    stored = pairs.stored(desk.weights, "influence")
    rows = []
    for name, cells in stored.items():
        for cell, points in cells.items():
            medians, life = {p["distance"]: p["median"] for p in points}, figures.stored_half_life(points)
            cells_of_row = [number(medians[d]) if d in medians else "" for d in TABLE_DISTANCES]
            rows.append([f"{name}-{cell}", *cells_of_row, number(life) if life else "does not fade"])
    zh, en = 200, 30
    return {
        "influence_picture": desk.draw(
            "influence", figures.influence(stored), "Median gradient norm against distance, for each RNN and LSTM pair"
        ),
        "influence_table": table(["model", *(f"at {d}" for d in TABLE_DISTANCES), "half-life, tokens"], rows),
        "zh_distance": zh,
        "zh_times": number(_times(stored["zh-sentiment"], zh)),
        "en_distance": en,
        "en_times": number(_times(stored["en-sentiment"], en)),
    }


def _times(cells: Mapping[str, pairs.Rows], distance: int) -> float:
    """How many times the RNN's median the LSTM's is."""
    rnn, lstm = ({p["distance"]: p["median"] for p in cells[cell]}[distance] for cell in pairs.CELLS)
    return float(lstm / rnn)


def lengths(desk: Desk) -> Fields:
    """Accuracy by length of text for each pair."""
    stored = pairs.stored(desk.weights, "by_length")
    rows = [
        [name, figures.span(rnn), rnn["texts"], *(f"{r['figure']:.3f}" for r in (rnn, lstm)), f"{gain:+.3f}"]
        for name, cells in stored.items()
        for rnn, lstm in zip(cells["rnn"], cells["lstm"], strict=True)
        for gain in [lstm["figure"] - rnn["figure"]]
    ]
    return {
        "lengths_picture": desk.draw(
            "by-length", figures.by_length(stored), "Accuracy or entity F1 by length of text, for each pair"
        ),
        "lengths_table": table(["pair", "tokens", "texts", "RNN", "LSTM", "LSTM − RNN"], rows),
    }


def recall_task(desk: Desk) -> Fields:
    """The recall task, trained here."""
    effort = desk.effort
    recipes = {"gaps of any length": effort.recipe, "gaps that grow": effort.growing}
    shares = {gaps: _shares(desk, recipe, gaps) for gaps, recipe in recipes.items()}
    rows = [
        [gaps, cell.upper(), *(f"{share:.2f}" for share in np.mean(seeds, axis=0))]
        for gaps, cells in shares.items()
        for cell, seeds in cells.items()
    ]
    plain = figures.recall(effort.gaps, shares["gaps of any length"], 1 / SYMBOLS)
    return {
        "symbols": SYMBOLS,
        "chance": f"{1 / SYMBOLS:.3f}",
        "units": effort.recipe.units,
        "steps": effort.recipe.steps,
        "batch": effort.recipe.batch_size,
        "longest": effort.recipe.longest,
        "seeds": effort.seeds,
        "growing_steps": effort.growing.steps,
        "recall_picture": desk.draw("recall", plain, "Share of symbols named against the gap, RNN and LSTM"),
        "recall_table": table(["trained on", "cell", *(f"gap {gap}" for gap in effort.gaps)], rows),
    }


def _shares(desk: Desk, recipe: Recipe, gaps: str) -> dict[str, list[Sequence[float]]]:
    shares: dict[str, list[Sequence[float]]] = {cell: [] for cell in pairs.CELLS}
    for cell in pairs.CELLS:
        for seed in range(desk.effort.seeds):
            desk.say(f"  {cell.upper()} on {gaps}, seed {seed + 1} of {desk.effort.seeds}")
            shares[cell].append(recall(cell, desk.effort.gaps, recipe, seed))
    return shares


def belt(desk: Desk) -> Fields:
    """One step of the cell, and what the cell state (the lecture's belt) keeps over one text."""
    model, text = "zh-sentiment-lstm", LONG["zh"]
    word = "糟糕"
    (prediction,) = desk.predictor(model).predict([text], Inspection(("forget_gate",)))
    assert prediction.inside is not None
    lives = half_life(prediction.inside.tensors["forget_gate"].astype(np.float64))
    return {
        "median_life": number(float(np.median(lives))),
        "tenth_life": number(float(np.quantile(lives, 0.9))),
        "longest_life": number(float(lives.max())),
        "belt_model": model,
        "belt_text": text,
        "belt_token": word[0],
        "belt_word": word,
        "cell_picture": desk.view(
            model, text, "cell", "The LSTM cell at one step, the step's numbers on every wire", text.index(word)
        ),
        "memory_picture": desk.view(model, text, "memory", "What each token keeps of each earlier one, on the belt"),
        "fading_picture": desk.view(model, text, "fading", "The answer's gradient by each token, against its distance"),
    }


def places(desk: Desk) -> Fields:
    """Gates at negations and at the borders of entities."""
    fields: Fields = {}
    for language in ("zh", "en"):
        reader, finder = (desk.predictor(f"{language}-{task}-lstm") for task in ("sentiment", "ner"))
        negations = gates.at_places(reader, OPINIONS[language], gates.negations(NEGATIONS[language]))
        fields[f"{language}_negations_table"] = _places(negations)
        fields[f"{language}_borders_table"] = _places(gates.at_places(finder, NEWS[language], gates.borders))
    text = OPINIONS["en"][0]
    alt = "Every gate of every unit over an English sentence with a negation"
    return {**fields, "negation_text": text, "gates_picture": desk.view("en-sentiment-lstm", text, "gates", alt)}


def _places(places: gates.Places) -> str:
    rows = [[kind, places.counts[kind], *(f"{v:.3f}" for v in means.values())] for kind, means in places.kinds.items()]
    return table(["tokens", "count", *(name.replace("_", " ") for name in gates.MEASURED)], rows)


def training(desk: Desk) -> Fields:
    """The time of a training step against T."""
    if not desk.effort.timesteps:
        untimed = "The short form of this page times nothing."
        return {
            "training_units": UNITS,
            "threads": torch.get_num_threads(),
            "many": MANY,
            "training_picture": untimed,
            "training_table": "",
        }
    one, many = (training_steps(desk.effort.timesteps, texts) for texts in (1, MANY))
    rows = [
        [t, f"{r:.1f}", f"{f:.1f}", f"{ratio:.1f}", f"{among_many:.1f}"]
        for t, r, f, ratio, among_many in zip(
            one.timesteps, one.recurrent_ms, one.feed_forward_ms, one.ratios, many.ratios, strict=True
        )
    ]
    return {
        "training_units": UNITS,
        "threads": torch.get_num_threads(),
        "many": MANY,
        "training_picture": desk.draw(
            "training", figures.training(one), "Time of a training step against T, recurrent and feed-forward"
        ),
        "training_table": table(["T", "LSTM, ms", "feed-forward, ms", "ratio", f"ratio, {MANY} texts"], rows),
    }


def explanation(desk: Desk) -> Fields:
    """Which characters made the label, by the model's default method."""
    alt = "A Chinese hotel review, each character shaded by what it gave to the label"
    return {"highlight_picture": desk.view("zh-sentiment-lstm", REVIEW, "highlight", alt)}
