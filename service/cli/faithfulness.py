"""`gatescope faithfulness`: which attribution method finds the tokens that matter, on one model and its own data."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from models.analysis.method_reports import (
    LONG,
    TEXTS,
    MethodReport,
    affordable,
    chosen_default,
    method_reports,
    methods_for,
    sample,
)
from models.analysis.methods import method_named
from models.analysis.subject import TextRuns
from models.checkpoint.checkpoint import load_checkpoint
from models.errors import TrainingError
from models.inference.predictor import Predictor
from models.training.data import read_rows

from .arguments import as_type, index

_DESCRIPTION = """\
Which attribution method finds the tokens that matter on this model? The tokens that a method ranks highest are left out
(comprehensiveness: the margin that is lost) or read alone (sufficiency: the margin that they have more than the whole
text), over 1, 5, 10, 20 and 50 % of the tokens; of both, more is better. `random` ranks by chance.

The default that this table recommends is the most comprehensive method near the best in both, of those that cost at
most 64 predictions of a text of 512 tokens.
"""


def add_faithfulness(commands: Any) -> None:
    parser = commands.add_parser(
        "faithfulness",
        help="which attribution method finds the tokens that matter",
        description=_DESCRIPTION,
        epilog="example:\n  gatescope faithfulness weights/zh-sentiment-lstm dev.jsonl",
    )
    parser.add_argument("model", type=Path, metavar="WEIGHTS_FOLDER")
    parser.add_argument("data", type=Path, metavar="FILE", help="rows as for `gatescope train`")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="default: all that the cell has")
    parser.add_argument("--texts", type=as_type(index), default=TEXTS, metavar="N", help="of the file, at most")
    parser.add_argument("--json", action="store_true", help="print the reports with their curves")
    parser.set_defaults(run=_faithfulness)


def _faithfulness(options: argparse.Namespace) -> int:
    torch.set_num_threads(1)  # the products are small: a second thread costs more than it does
    predictor = Predictor(load_checkpoint(options.model), torch.device("cpu"))
    manifest = predictor.checkpoint.manifest
    methods = options.methods or methods_for(manifest.cell)
    for name in methods:
        method_named(name).check_cell(manifest.cell)
    texts = [predictor.prepare(row.text) for row in read_rows(manifest.task, manifest.language, options.data)]
    runs = [TextRuns(predictor.runner, text.tokens, text.ids, predictor.checkpoint.tags) for text in texts]
    chosen = [runs[n] for n in sample([len(text.text) for text in texts], options.texts)]
    with torch.inference_mode():
        reports = method_reports(chosen, methods, _bar)
    if not reports:
        raise TrainingError(
            f"{options.data} has no text of 10 to 200 characters that this model finds anything in: name another file"
        )
    if options.json:
        print(json.dumps([asdict(report) for report in reports], ensure_ascii=False, indent=1))
        return 0
    _print_table(reports)
    if affordable(reports):
        default = manifest.default_attribution or "none"
        print(f"recommended default: {chosen_default(reports)}; the manifest's: {default}")
    return 0


def _print_table(reports: Sequence[MethodReport]) -> None:
    print(f"{reports[0].texts} texts")
    heads = ("comprehensive", "sufficient", "inflation", "predictions", f"of {LONG}")
    print(f"{'method':22} {heads[0]:>13} {heads[1]:>11} {heads[2]:>10} {heads[3]:>12} {heads[4]:>8}")
    for r in sorted(reports, key=lambda r: -r.comprehensiveness):
        inflation = "" if r.inflation_median is None else f"{r.inflation_median:.1f}"
        cost = "" if r.predictions is None else f"{r.predictions:.0f}"
        long = "" if r.predictions_long is None else f"{r.predictions_long:.0f}"
        print(f"{r.method:22} {r.comprehensiveness:13.2f} {r.sufficiency:11.2f} {inflation:>10} {cost:>12} {long:>8}")


def _bar(items: Iterable[TextRuns], total: int, what: str) -> Iterable[TextRuns]:
    interval_s = 0.5 if sys.stderr.isatty() else 30
    bar: Iterable[TextRuns] = tqdm(items, desc="faithfulness", total=total, unit=what, mininterval=interval_s)
    return bar
