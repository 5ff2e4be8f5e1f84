"""`gatescope pretrain`: a language model that `gatescope train --start` begins from."""

import argparse
from pathlib import Path
from typing import Any

from models.training.pretraining import Pretraining, pretrain
from models.training.recipe import read_recipe_as

from .checks import device
from .notes import show_notes
from .training import progress


def add_pretrain(commands: Any) -> None:
    parser = commands.add_parser(
        "pretrain",
        help="train a language model to start from",
        description="Learn to predict the next and the previous word of the texts; labels are not read.",
        epilog="example:\n  gatescope pretrain --recipe recipes/en-language-model.toml --texts a.jsonl --out lm",
    )
    parser.add_argument("--recipe", type=Path, required=True, metavar="TOML")
    parser.add_argument("--texts", type=Path, nargs="+", required=True, metavar="FILE", help=".jsonl or two columns")
    parser.add_argument(
        "--vectors",
        type=Path,
        nargs=2,
        metavar=("NPY", "FORMS"),
        help="static vectors to begin from: [row, dimension], and one form a line",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a killed run goes on from here")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.set_defaults(run=_pretrain)


def _pretrain(options: argparse.Namespace) -> int:
    show_notes()
    recipe = read_recipe_as(Pretraining, options.recipe, {})
    vectors = tuple(options.vectors) if options.vectors else None
    print(pretrain(recipe, options.texts, options.out, device(options.device), vectors, progress()))
    return 0
