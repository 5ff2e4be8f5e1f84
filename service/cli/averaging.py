"""`gatescope average`: several trainings of one model made one."""

import argparse
from pathlib import Path
from typing import Any

from models.training.averaging import produce_average
from models.training.card import typed_command

from ..pictures.canvas import font
from .checks import writable_folder
from .columns import add_columns, layout_of
from .notes import show_notes
from .tables import table

_DESCRIPTION = """\
Make one model of several by the mean of their weights, often a little better than the best of them, and as small and as
fast as one. They must be trainings of one recipe on the same files, from the same --start and --seed: with more epochs,
or other weights of the files; those of two seeds seldom average to anything good. What is printed, and the card of the
new model, have the figure of each beside that of the mean. --shares 3 1: the first counts three times as much.
"""
_EXAMPLE = """\
example:
  gatescope average runs/news/my-ner runs/web/my-ner --shares 3 1 --name my-ner --dev dev.bio
"""


def add_average(commands: Any) -> None:
    parser = commands.add_parser(
        "average", help="make one model of several trainings", description=_DESCRIPTION, epilog=_EXAMPLE
    )
    parser.add_argument("models", type=Path, nargs="+", metavar="WEIGHTS_FOLDER", help="two or more models' folders")
    parser.add_argument("--name", required=True, metavar="NAME", help="of the new model, and of its folder")
    parser.add_argument("--dev", type=Path, required=True, metavar="FILE", help="rows to calibrate and measure with")
    parser.add_argument(
        "--shares", type=float, nargs="+", metavar="X", help="of each model in the mean (default: alike for all)"
    )
    parser.add_argument("--out", type=Path, default=Path("weights"), metavar="DIR", help="place of the model's folder")
    parser.add_argument("--replace", action="store_true", help="replace an older model of the same name")
    add_columns(parser)
    parser.set_defaults(run=_average)


def _average(options: argparse.Namespace) -> int:
    show_notes()
    writable_folder(options.out, "--out")
    shares = options.shares or [1.0] * len(options.models)
    font()  # registers the font of the package, which has Chinese characters, for the pictures of the card
    made, members = produce_average(
        options.models,
        shares,
        options.name,
        options.dev,
        options.out,
        typed_command(options.typed),
        layout_of(options),
        options.replace,
    )
    rows = [(member.past.name, f"{member.share:.3f}", f"{member.figure:.4f}") for member in members]
    print(table(("model", "share", "figure on dev"), rows))
    print(f"\n{options.out / options.name}: " + ", ".join(f"{k} {v:.4f}" for k, v in made.manifest.metrics.items()))
    return 0
