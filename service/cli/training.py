"""`gatescope train`: the options, and what a person sees while it runs."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import torch
from pydantic.fields import FieldInfo
from safetensors import SafetensorError

from models.errors import TrainingError
from models.training.card import typed_command
from models.training.produce import Files, produce
from models.training.recipe import TABLES, Recipe, read_recipe
from models.training.starting import usual_choices
from models.training.train import Progress, quiet

from ..pictures.canvas import font
from .checks import device, writable_folder
from .notes import show_notes

_DESCRIPTION = """\
Train a classifier or a named-entity recogniser. It ends as a folder that `gatescope serve` loads.

data of text-classification (--text-column and --label-column name other columns):
  JSON lines   {"text": "a fine film", "label": "positive"}, a row a line; labels are strings or integers
  CSV, TSV     with a header; without one, columns are named by number: --text-column 1 --label-column 2
data of token-classification, a token a line and an empty line between sentences:
  columns      2 to 4, parted by a tab or blanks, the token first and its tag last (or --tag-column);
               tags are BIO, IOB1, BIOES, BMES or BILOU

Files are UTF-8. A row that cannot be read is an error with its file and line; nothing is left out in silence.
A run that was killed goes on after its last full epoch when the same command is given again; a finished one goes on
when --epochs is raised (with --replace). To start anew, remove its folder under --state-dir.
"""
_EXAMPLE = """\
examples:
  gatescope train --name my-lstm --task text-classification --language en --train train.jsonl --dev dev.jsonl
  gatescope train --name stars --task text-classification --language en --bidirectional --reads mean_max \\
    --train train.csv --dev dev.csv --text-column review --label-column stars --balance
  gatescope train --name my-ner --task token-classification --language zh --bidirectional --bigram-dimension 64 \\
    --train train.bmes --dev dev.bmes --epochs 12
  gatescope train --name my-ner --start weights/zh-ner-bilstm --train mine.bio --dev mine-dev.bio
  gatescope train --name small --units 32 --teacher weights/large weights/larger --recipe mine.toml \\
    --train train.jsonl --dev dev.jsonl
"""

# fields of the recipe by what they are about; a field that stands in none of them is among the last
_GROUPS: dict[str, tuple[str, ...]] = {
    "the model": ("name", "task", "language", "tokenizer", "cell", "units", "layers", "bidirectional", "reads"),
    "columns of the files": ("text_column", "label_column", "tag_column", "tag_scheme", "max_tokens"),
    "training": (
        *("epochs", "extra_epochs", "patience", "batch_size", "learning_rate", "warmup", "weight_decay"),
        *("gradient_clip", "average", "balance", "bfloat16", "seed"),
    ),
    "against overfitting": (
        *("input_dropout", "layer_dropout", "head_dropout", "unknown_rate", "label_smoothing", "teacher_share"),
    ),
    "input features": tuple(
        name
        for name in Recipe.model_fields
        if name.endswith(("_dimension", "_rows", "_min_count")) or name in ("freeze_vectors", "start_forms")
    ),
    "the card": ("description", "license", "training_data", "limits"),
}
_OTHER = "more choices"


def add_train(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="train a model on your own data",
        usage="gatescope train --name NAME --task TASK --language LANGUAGE --train FILE --dev FILE [choices]",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
    )
    _add_files(parser.add_argument_group("files"))
    grouped = {name: title for title, names in _GROUPS.items() for name in names}
    groups = {title: parser.add_argument_group(title) for title in (*_GROUPS, _OTHER)}
    for name, field in Recipe.model_fields.items():
        if name not in TABLES and (metavar := _metavar(field)) is not None:
            _add_field(groups[grouped.get(name, _OTHER)], name, field, metavar)
    parser.set_defaults(run=_train)


def _add_files(files: Any) -> None:
    files.add_argument(
        "--train", type=Path, required=True, dest="train_file", metavar="FILE", help="rows to learn from"
    )
    files.add_argument("--dev", type=Path, required=True, dest="dev_file", metavar="FILE", help="rows to measure with")
    files.add_argument(
        "--extra",
        type=Path,
        nargs="+",
        default=(),
        dest="extra_files",
        metavar="FILE",
        help="more rows, read in the first --extra-epochs",
    )
    files.add_argument(
        "--vectors",
        type=Path,
        nargs=2,
        metavar=("NPY", "FORMS"),
        help="static vectors: [row, dimension], and one form a line",
    )
    files.add_argument(
        "--start",
        type=Path,
        metavar="PATH",
        help="begin from what `gatescope pretrain` wrote, or from a model's folder, whose shape is then the default",
    )
    files.add_argument(
        "--teacher",
        type=Path,
        nargs="+",
        default=(),
        dest="teachers",
        metavar="FOLDER",
        help="models with the same labels, whose mean answer a classifier learns beside each label (distillation)",
    )
    files.add_argument("--recipe", type=Path, metavar="TOML", help="choices from a file; options win over it")
    files.add_argument("--out", type=Path, default=Path("weights"), metavar="DIR", help="place of the model's folder")
    files.add_argument("--state-dir", type=Path, default=Path("runs"), metavar="DIR", help="where runs are kept")
    files.add_argument("--replace", action="store_true", help="replace an older model of the same name")
    files.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="auto: a CUDA card if there is one",
    )


def _add_field(group: Any, name: str, field: FieldInfo, metavar: str) -> None:
    default = "required" if field.is_required() else _shown(field.default)
    notes = ", ".join(note for note in (_bounds(field), default) if note)
    text = " ".join(part for part in (field.description, f"({notes})" if notes else "") if part)
    flag = {"nargs": "?", "const": "true"} if field.annotation is bool else {}
    group.add_argument(
        f"--{name.replace('_', '-')}", dest=name, default=None, metavar=metavar, help=text.replace("%", "%%"), **flag
    )


def _metavar(field: FieldInfo) -> str | None:
    """How a value is written on the command line; None for what only a recipe's file can say."""
    kind = next((k for k in get_args(field.annotation) if k is not NoneType), None)  # the first of a union
    if get_origin(field.annotation) is Literal:
        return "{" + ",".join(map(str, get_args(field.annotation))) + "}"
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    names: dict[Any, str] = {int: "N", float: "X", str: "TEXT", bool: "true|false"}
    return names.get(kind or field.annotation)


def _shown(default: object) -> str:
    if default is None or default == "":
        return ""
    return f"default: {str(default).lower() if isinstance(default, bool) else default}"


def _bounds(field: FieldInfo) -> str:
    """``1 to 2048`` where a number has two bounds, ``1 or more`` where it has one."""
    bounds = {key: getattr(m, key) for m in field.metadata for key in ("ge", "gt", "le", "lt") if hasattr(m, key)}
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if low is None:
        return ""
    above, below = "above " if "gt" in bounds else "", "below " if "lt" in bounds else ""
    return f"{above}{low} to {below}{high}" if high is not None else f"{above}{low}" if above else f"{low} or more"


def _train(options: argparse.Namespace) -> int:
    show_notes()
    given = {name: getattr(options, name) for name in Recipe.model_fields if getattr(options, name, None) is not None}
    usual = usual_choices(options.start) if options.start else {}
    recipe = read_recipe(options.recipe, given, usual)
    run_folder = options.state_dir / recipe.name
    chosen = device(options.device)
    writable_folder(options.out, "--out")
    writable_folder(run_folder, "--state-dir")
    files = Files(
        options.train_file,
        options.dev_file,
        options.out,
        tuple(options.extra_files),
        tuple(options.vectors) if options.vectors else None,
        run_folder / "state.safetensors",
        options.start,
        tuple(options.teachers),
    )
    font()  # registers the font of the package, which has Chinese characters, for the pictures of the card
    try:
        checkpoint = produce(recipe, files, chosen, typed_command(options.typed), options.replace, progress())
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TrainingError("there is not enough memory: lower --batch-size, --max-tokens or --units") from error
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"a file could not be written or read ({error}): make room, then go on") from error
    except KeyboardInterrupt:
        print("the same command goes on after the last full epoch", file=sys.stderr)
        raise
    figures = ", ".join(f"{k} {v:.4f}" for k, v in checkpoint.manifest.metrics.items())
    print(f"{options.out / recipe.name}: {figures}")
    print(f"{run_folder} keeps the run for more epochs: remove it when you need none", file=sys.stderr)
    return 0


def progress() -> Progress[Any]:
    """A bar a batch where tqdm, an extra, is installed; a line an epoch is there in any case."""
    try:
        from tqdm import tqdm
    except ImportError:
        return quiet

    def bar(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
        interval_s = 0.5 if sys.stderr.isatty() else 30
        shown: Iterable[Any] = tqdm(items, desc=what, total=total, unit="batch", mininterval=interval_s)
        return shown

    return bar
