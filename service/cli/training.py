"""`gatescope train` and `gatescope evaluate`: the options, and what a person sees while it runs."""

import argparse
import json
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from models.checkpoint.checkpoint import load_checkpoint
from models.training.data import read_rows
from models.training.evaluate import evaluate, store
from models.training.produce import Files, produce, shown_command
from models.training.recipe import TABLES, Recipe, read_recipe

_TRAIN = """\
Train a classifier or a named-entity recogniser and put it into a weights folder that `gatescope serve` loads.

Data: JSON lines {"text": ..., "label": ...} for text-classification; for token-classification two columns, token TAB
tag in BIO, a blank line between sentences. A bad row is an error with its file and line.

Example:
  gatescope train --name my-lstm --task text-classification --language en --train train.jsonl --dev dev.jsonl

A killed run goes on where it was when the same command is given again (state in --state-dir).
"""


def add_train(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="train a model on your own data",
        description=_TRAIN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    files = parser.add_argument_group("files")
    files.add_argument("--train", type=Path, required=True, dest="train_file", metavar="FILE")
    files.add_argument("--dev", type=Path, required=True, dest="dev_file", metavar="FILE")
    files.add_argument(
        "--extra",
        type=Path,
        nargs="+",
        default=(),
        dest="extra_files",
        metavar="FILE",
        help="more rows, read in the first --extra-epochs epochs",
    )
    files.add_argument(
        "--vectors",
        type=Path,
        nargs=2,
        metavar=("NPY", "FORMS"),
        help="static vectors: [row, dimension], and one form a line",
    )
    files.add_argument("--start", type=Path, metavar="FILE", help="begin from what `gatescope pretrain` wrote")
    files.add_argument(
        "--out",
        type=Path,
        default=Path("weights"),
        metavar="DIR",
        help="where the model's folder goes (default: weights)",
    )
    files.add_argument(
        "--state-dir",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help="where a run is kept to be resumed (default: runs)",
    )
    files.add_argument("--replace", action="store_true", help="replace an older model of the same name")
    files.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    files.add_argument(
        "--recipe", type=Path, metavar="TOML", help="hyperparameters from a file; options below win over it"
    )
    choices = parser.add_argument_group("recipe")
    for name, field in Recipe.model_fields.items():
        if name in TABLES:
            continue
        default = "required" if field.is_required() else f"default: {field.default!r}"
        note = f"{field.description} ({default})" if field.description else default
        choices.add_argument(f"--{name.replace('_', '-')}", default=None, metavar="X", help=note.replace("%", "%%"))
    parser.set_defaults(run=_train)


def add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure a model on labelled data",
        description=(
            "Accuracy or entity-level F1 of a model on labelled data, overall, by label and by length of text."
        ),
    )
    parser.add_argument("model", type=Path, metavar="WEIGHTS_FOLDER")
    parser.add_argument("data", type=Path, metavar="FILE", help="rows as for `gatescope train`")
    parser.add_argument("--store", action="store_true", help="write evaluation.json beside the weights")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.set_defaults(run=_evaluate)


def _train(options: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    given = {name: value for name in Recipe.model_fields if (value := getattr(options, name, None)) is not None}
    recipe = read_recipe(options.recipe, given)
    state = options.state_dir / recipe.name / "state.safetensors"
    files = Files(
        options.train_file,
        options.dev_file,
        options.out,
        tuple(options.extra_files),
        tuple(options.vectors) if options.vectors else None,
        state,
        options.start,
    )
    command = shown_command(options.recipe, files, given)
    checkpoint = produce(recipe, files, device(options.device), command, options.replace, bar)
    state.unlink(missing_ok=True)
    figures = ", ".join(f"{k} {v:.4f}" for k, v in checkpoint.manifest.metrics.items())
    print(f"{options.out / recipe.name}: {figures}")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    checkpoint = load_checkpoint(options.model)
    rows = read_rows(checkpoint.manifest.task, checkpoint.manifest.language, options.data)
    result = evaluate(checkpoint, rows, device(options.device))
    print(json.dumps(result.as_json(), ensure_ascii=False, indent=1))
    if options.store:
        store(options.model, result, "/".join(options.data.parts[-2:]))
    return 0


def device(setting: str) -> torch.device:
    return torch.device("cuda" if setting == "cuda" or (setting == "auto" and torch.cuda.is_available()) else "cpu")


def bar(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    shown: Iterable[Any] = tqdm(
        items, desc=what, total=total, unit="batch", mininterval=0.5 if sys.stderr.isatty() else 30
    )
    return shown
