"""`gatescope robustness`: a model's figure on labelled data as they are and as people type them."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.checkpoint.checkpoint import load_checkpoint
from models.training.data import read_rows
from models.training.robustness import robustness, table

from .checks import device


def add_robustness(commands: Any) -> None:
    parser = commands.add_parser(
        "robustness",
        help="measure a model on labelled data as people type them",
        epilog="example:\n  gatescope robustness weights/en-ner-bilstm dev.bio",
    )
    parser.add_argument("model", type=Path, metavar="WEIGHTS_FOLDER")
    parser.add_argument("data", type=Path, metavar="FILE", help="rows as for `gatescope train`")
    parser.add_argument(
        "--kinds", nargs="+", default=(), metavar="LABEL", help="kinds of entity that the data have, if not all"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.set_defaults(run=_robustness)


def _robustness(options: argparse.Namespace) -> int:
    checkpoint = load_checkpoint(options.model)
    rows = read_rows(checkpoint.manifest.task, checkpoint.manifest.language, options.data)
    found = robustness(checkpoint, rows, device(options.device), options.kinds)
    if options.json:
        print(json.dumps([asdict(row) for row in found], indent=1))
    else:
        print(table(f"{checkpoint.manifest.name}, {'/'.join(options.data.parts[-2:])}", found))
    return 0
