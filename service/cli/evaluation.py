"""`gatescope evaluate`: the options, and the tables that a person reads."""

import argparse
import json
import logging
from pathlib import Path
from typing import Any

from models.checkpoint.checkpoint import load_checkpoint
from models.errors import TrainingError
from models.training.data import read_rows
from models.training.evaluate import Evaluation, evaluate, store
from models.training.measured import answers, check_labels, measure
from models.training.pictures import draw_confusion

from ..pictures.canvas import font
from .checks import device, writable_file, writable_folder
from .columns import add_columns, layout_of
from .notes import show_notes
from .tables import table

log = logging.getLogger(__name__)

_MISTAKES = 10  # the most frequent confusions that the tables show

_DESCRIPTION = """\
Measure a model on labelled data: accuracy or entity-level F1, by label and by length of text, what is taken for what,
and whether scores can be believed (calibration). The data are files as for `gatescope train`.
"""
_EXAMPLE = """\
example:
  gatescope evaluate weights/my-lstm test.csv --text-column review --label-column stars \\
    --predictions worst-first.jsonl --picture confusion.png
"""


def add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure a model on labelled data",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
    )
    parser.add_argument("model", type=Path, metavar="WEIGHTS_FOLDER", help="the model's folder")
    parser.add_argument("data", type=Path, metavar="FILE", help="JSON lines, CSV or TSV; CoNLL columns for a tagger")
    add_columns(parser)
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print every figure as JSON in place of the tables")
    output.add_argument(
        "--predictions",
        type=Path,
        metavar="FILE.jsonl",
        help="write each text's answer as JSON lines, the greatest loss first",
    )
    output.add_argument("--picture", type=Path, metavar="FILE.png", help="draw the confusion matrix")
    output.add_argument("--store", action="store_true", help="write evaluation.json beside the weights")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a CUDA card if there is one"
    )
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    show_notes()
    _check(options)
    checkpoint = load_checkpoint(options.model)
    rows = read_rows(checkpoint.manifest.task, checkpoint.manifest.language, options.data, layout_of(options))
    check_labels(checkpoint, rows, options.data)
    measured = measure(checkpoint, rows, device(options.device))
    evaluation = evaluate(measured)
    try:
        if options.predictions:
            lines = (json.dumps(answer, ensure_ascii=False) + "\n" for answer in answers(measured))
            options.predictions.write_text("".join(lines), "utf-8")
        if options.picture:
            font()  # registers the font of the package, which has Chinese characters
            draw_confusion(options.picture, evaluation.confusion)
        if options.store:
            store(options.model, evaluation, "/".join(options.data.parts[-2:]))
    except OSError as error:
        raise TrainingError(f"{error.filename} cannot be written: {error.strerror}") from error
    if options.json:
        print(json.dumps(evaluation.as_json(), ensure_ascii=False, indent=1))
    else:
        print(f"{checkpoint.manifest.name} on {options.data}: {evaluation.texts:,} texts\n")
        print("\n\n".join(_tables(evaluation)))
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raises: OptionError before any work where a result could not be written or the device is not there."""
    device(options.device)
    if options.predictions:
        writable_file(options.predictions, "--predictions", ".jsonl")
    if options.picture:
        writable_file(options.picture, "--picture", ".png")
    if options.store and options.model.is_dir():
        writable_folder(options.model, "--store: the folder")


def _tables(evaluation: Evaluation) -> list[str]:
    figure = "accuracy" if "accuracy" in evaluation.metrics else "F1"
    headline = [
        (name.replace("_", " ").replace("macro f1", "macro F1"), f"{value:.4f}")
        for name, value in evaluation.metrics.items()
    ]
    if figure == "F1" and evaluation.calibration_error is not None:
        headline.append(("calibration error", f"{evaluation.calibration_error:.4f}"))
    scores = [
        (s.label, f"{s.precision:.4f}", f"{s.recall:.4f}", f"{s.f1:.4f}", f"{s.support:,}") for s in evaluation.by_label
    ]
    lengths = [
        (f"{row['from']} to {row['to'] or 'the longest'}", f"{row['texts']:,}", f"{row['figure']:.4f}")
        for row in evaluation.by_length
    ]
    bins = [
        (f"{b.low:.2f} to {b.high:.2f}", f"{b.answers:,}", f"{b.score:.4f}", f"{b.right:.4f}")
        for b in evaluation.reliability
    ]
    methods = [(r.method, f"{r.comprehensiveness:.2f}", f"{r.sufficiency:.2f}") for r in evaluation.faithfulness]
    return [
        table(("figure", "value"), headline),
        table(("label", "precision", "recall", "F1", "support"), scores),
        *_mistakes(evaluation),
        table(("tokens", "texts", figure), lengths),
        *([table(("score", "answers", "mean score", "right"), bins)] if bins else []),
        *([table(("method", "comprehensiveness", "sufficiency"), methods)] if methods else []),
    ]


def _mistakes(evaluation: Evaluation) -> list[str]:
    mistakes = evaluation.confusion.most_frequent()
    if not mistakes:
        return []
    rows = [(a or "(no entity)", b or "(no entity)", f"{n:,}") for a, b, n in mistakes[:_MISTAKES]]
    more = f"\nand {len(mistakes) - _MISTAKES:,} rarer kinds of mistake: --json" if len(mistakes) > _MISTAKES else ""
    return [table(("label", "taken for", "times"), rows, texts=2) + more]
