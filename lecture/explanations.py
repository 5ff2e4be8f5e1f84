"""`python -m lecture.explanations --data DIR`: which attribution method finds the tokens that matter, on every model.

Writes `docs/explanations.md` with its pictures, `docs/explanations.json`, which a test holds the defaults against, and
each model's default method into its manifest. DIR holds, for each family of models, FAMILY/dev.jsonl or FAMILY/dev.bio.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import Any

import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from models.analysis.faithfulness import CURVE, EXHAUSTIVE_TOKENS
from models.analysis.method_reports import (
    AFFORDABLE,
    BEST,
    LONG,
    RANDOM,
    MethodReport,
    chosen_default,
    method_reports,
    methods_for,
    sample,
)
from models.analysis.methods import METHODS
from models.analysis.subject import TextRuns
from models.checkpoint.checkpoint import MANIFEST, load_checkpoint
from models.inference.analyst import Analyst, Question
from models.inference.predictor import Predictor
from models.training.card import CARD, explanations
from models.training.data import read_rows
from service.pictures import canvas
from service.pictures.views import View, gather
from service.pictures.words import Language

from .markdown import table
from .texts import REVIEW

_TIMED = 5
_FIRST, _SECOND = (canvas.BLUE, canvas.GREEN, canvas.PURPLE), (canvas.ORANGE, canvas.VERMILION)
PALETTE = (*_FIRST, "#000000", *_SECOND, "#56B4E9", canvas.GREY)  # Okabe and Ito's; `METHODS`, then chance
SHORT_TEXTS = 40  # of up to `EXHAUSTIVE_TOKENS` tokens, of which every subset is read
_SHORTEST = 6  # tokens of those


@dataclass(frozen=True)
class ModelReport:
    """One model: its reports over long texts and over short ones, where every subset was read as well."""

    model: str
    weights_sha256: str
    default: str
    reports: list[MethodReport]
    short: list[MethodReport]
    times: dict[str, float]  # of an answer about a text of `LONG` tokens, over a plain prediction of it, in one run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lecture.explanations", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="where each family's dev file is")
    parser.add_argument("--weights", type=Path, default=Path("weights"), help="the models (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where the page goes (default: %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="MODEL", help="measure these anew and keep the others' figures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    stored = options.out / "explanations.json"
    kept = {} if not options.only else {row["model"]: row for row in json.loads(stored.read_text("utf-8"))["models"]}
    rows: list[dict[str, Any]] = []
    for folder in sorted(path.parent for path in options.weights.glob(f"*/{MANIFEST}")):
        if options.only and folder.name not in options.only:
            rows.append(kept[folder.name])
        else:
            rows.append(asdict(measured(folder, options.data)))
            set_default(folder, rows[-1]["default"])
            set_card(folder, rows[-1])
    stored.write_text(json.dumps({"models": rows}, ensure_ascii=False, indent=1) + "\n", "utf-8")
    write(rows, options.weights, options.out)


def measured(folder: Path, data: Path) -> ModelReport:
    """Every method on one shipped model."""
    predictor = Predictor(load_checkpoint(folder), torch.device("cpu"))
    manifest = predictor.checkpoint.manifest
    file = next(path for path in sorted((data / family(folder.name)).glob("dev.*")))
    texts = [predictor.prepare(row.text) for row in read_rows(manifest.task, manifest.language, file)]
    runs = [TextRuns(predictor.runner, text.tokens, text.ids, predictor.checkpoint.tags) for text in texts]
    long = [runs[n] for n in sample([len(text.text) for text in texts])]
    short = [r for r in runs if _SHORTEST <= len(r) <= EXHAUSTIVE_TOKENS][:SHORT_TEXTS]
    methods = methods_for(manifest.cell)
    with torch.inference_mode():
        reports = method_reports(long, methods, progress_of(folder.name))
        exhaustive = [] if predictor.is_tagger else method_reports(short, methods, progress_of(f"{folder.name}, short"))
        times = relative_times(
            predictor, runs, [r.method for r in reports if (r.predictions_long or LONG) <= AFFORDABLE]
        )
    sha256, default = predictor.checkpoint.weights_sha256, chosen_default(reports)
    return ModelReport(folder.name, sha256, default, reports, exhaustive, times)


def relative_times(predictor: Predictor, texts: Sequence[TextRuns], methods: Sequence[str]) -> dict[str, float]:
    """The least of several times of each, a prediction timed before and after every one; text of `LONG` tokens."""
    enough = next(n for n in range(len(texts) + 1) if n == len(texts) or sum(map(len, texts[:n])) >= LONG)
    text = predictor.prepare(" ".join(runs.tokens.text for runs in texts[:enough])).prefix(LONG)
    analyst, timestep = Analyst(predictor), len(text) // 2 if predictor.is_tagger else None

    def least(work: Callable[[], object]) -> float:
        times = []
        for _ in range(_TIMED):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        return min(times)

    plain = min(least(lambda: predictor.run([text])) for _ in range(3))
    asked = {name: Question(None, timestep, name) for name in methods}
    return {name: round(least(lambda q=q: analyst.attribute(text, q)) / plain, 1) for name, q in asked.items()}  # type: ignore[misc]


def family(model: str) -> str:
    return model.rsplit("-", 1)[0]


def progress_of(name: str) -> Any:
    def shown(items: Iterable[TextRuns], total: int, what: str) -> Iterable[TextRuns]:
        slow = 0.5 if sys.stderr.isatty() else 30
        bar: Iterable[TextRuns] = tqdm(items, desc=name, total=total, unit=what, mininterval=slow)
        return bar

    return shown


def set_default(folder: Path, method: str) -> None:
    """Into the manifest, whose other fields stay as they stand."""
    path = folder / MANIFEST
    fields = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**fields, "default_attribution": method}, ensure_ascii=False, indent=1) + "\n", "utf-8")


def set_card(folder: Path, row: dict[str, Any]) -> None:
    """The card's section of explanations, before that of the limits."""
    path = folder / CARD
    card = re.sub(r"## Explanations\n.*?(?=## Limits)", "", path.read_text("utf-8"), flags=re.DOTALL)
    reports = [MethodReport(**fields) for fields in row["reports"]]
    path.write_text(card.replace("## Limits", f"{explanations(reports, row['default'])}\n## Limits"), "utf-8")


def write(rows: Sequence[dict[str, Any]], weights: Path, out: Path) -> None:
    """The page from the stored rows."""
    pictures = out / "explanations"
    pictures.mkdir(parents=True, exist_ok=True)
    tasks = {row["model"]: json.loads((weights / row["model"] / MANIFEST).read_text("utf-8"))["task"] for row in rows}
    classifiers = [row for row in rows if tasks[row["model"]] == "text-classification"]
    (pictures / "curves.png").write_bytes(canvas.write(curves(classifiers), "image/png"))
    names: dict[Language, str] = {"en": "highlight.png", "zh": "highlight.zh-CN.png"}
    for language, name in names.items():
        (pictures / name).write_bytes(highlighted(weights, language))
    fields = {
        "defaults": table(("model", "default"), [(row["model"], f"`{row['default']}`") for row in rows]),
        "methods": table(
            ("method", "cells", "adds up", "what it is"),
            [(f"`{m.name}`", ", ".join(m.cells), "yes" if m.adds_up else "no", m.help["en"]) for m in METHODS.values()],
        ),
        "tables": "\n\n".join(
            f"### {row['model']}\n\n{_table(row['reports'], row['default'], row['times'])}" for row in rows
        ),
        "short": "\n\n".join(
            f"### {row['model']}\n\n{_table(row['short'], row['default'], {})}" for row in rows if row["short"]
        ),
    }
    template = Template(Path(__file__).with_name("explanations.template.md").read_text("utf-8"))
    (out / "explanations.md").write_text(template.substitute(fields).rstrip() + "\n", "utf-8")


def highlighted(weights: Path, language: Language) -> bytes:
    """README's picture."""
    analyst = Analyst(Predictor(load_checkpoint(weights / "zh-sentiment-lstm"), torch.device("cpu")))
    view = View("highlight", 0, "forward", None, None, None, None, language)
    return gather(analyst, analyst.predictor.prepare(REVIEW), view)("image/png")


def curves(rows: Sequence[dict[str, Any]]) -> Figure:
    """The margin as tokens are left out, the highest ranked first, of each method on each classifier."""
    columns = 3
    figure = canvas.new(3.6 * columns, 3.0 * -(-len(rows) // columns) + 0.6)
    panels = figure.subplots(-(-len(rows) // columns), columns, squeeze=False, sharex=True).ravel()
    colours = dict(zip((*METHODS, RANDOM), PALETTE, strict=True))
    for axes, row in zip(panels, rows, strict=False):
        for report in row["reports"]:
            style = ":" if report["method"] == RANDOM else "-"
            line = {"color": colours[report["method"]], "linewidth": 1.3, "label": report["method"]}
            axes.plot([100 * share for share in CURVE], report["deletion"], style, **line)
        axes.axhline(0, color=canvas.GREY, linewidth=0.6)
        axes.set_title(row["model"], fontsize=10, loc="left")
        axes.tick_params(labelbottom=True)  # also where no panel stands below
        axes.set_xlabel("tokens left out, %, highest ranked first", fontsize=8)
        axes.set_ylabel("margin, logits", fontsize=8)
    for axes in panels[len(rows) :]:
        axes.axis("off")
    named = (line for axes in panels for line in axes.lines if not str(line.get_label()).startswith("_"))
    handles = {line.get_label(): line for line in named}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    return figure


def _table(reports: Sequence[dict[str, Any]], default: str, times: dict[str, float]) -> str:
    """The most comprehensive first; the default in bold."""
    rows = []
    for r in sorted(reports, key=lambda r: -r["comprehensiveness"]):
        name = {RANDOM: "random", BEST: "best subset of all"}.get(r["method"], f"`{r['method']}`")
        figures = [f"{r['comprehensiveness']:.2f}", f"{r['sufficiency']:.2f}", "", ""]
        if r["predictions"] is not None:
            figures[2] = f"{r['inflation_median']:.1f} ({r['inflation_largest']:.3g})"
            figures[3] = f"{r['predictions']:.0f}"
        row = (f"**{name}**" if r["method"] == default else name, *figures)
        long = "" if r["predictions_long"] is None else f"{r['predictions_long']:.0f}"
        rows.append((*row, long, f"{times[r['method']]:.1f}" if r["method"] in times else "") if times else row)
    heads = ("method", "comprehensiveness", "sufficiency", "inflation, median (largest)", "predictions")
    more = (f"of {LONG} tokens", "as timed") if times else ()
    return f"{reports[0]['texts']} texts\n\n{table((*heads, *more), rows)}"


if __name__ == "__main__":
    main()
