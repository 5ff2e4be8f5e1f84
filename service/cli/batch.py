"""`gatescope batch`: the options, and what a person sees while it runs."""

import argparse
import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from models.batch.blocks import load_predictor
from models.batch.columns import ANSWERS, FIELDS
from models.batch.local import Engine, cores, local_engine
from models.batch.outputs import Naming
from models.batch.run import Outcome, Request, run
from models.batch.sources import BLOCK_ROWS
from models.checkpoint.checkpoint import MANIFEST
from models.errors import BatchError
from models.recurrence.cells import TENSORS

from ..settings import read_settings
from .arguments import Item, as_type, index

_RAY = Path(__file__).parents[2] / "deploy/ray_data.py"

_DESCRIPTION = """\
Answer a file of texts, a row out for each row in, in the same order; no server is needed.

IN    JSON lines, CSV or TSV, or Parquet (which needs the extra parquet); --text-column names the texts
OUT   .jsonl or .parquet: the columns of IN, and behind them those of --add

Rows are answered in blocks by as many processes as there are cores. A run that was killed goes on where it was when
the same command is given again, no row lost or doubled; until it is whole it stands in OUT.batch/, then OUT appears
at once. A row that cannot be read or answered is written with `error` and `error_line`, and the run goes on.

Exit status: 0; 1 where rows have an error, all others being answered; 2 where the batch could not be done.
"""
_EXAMPLE = """\
examples:
  gatescope batch reviews.csv answers.jsonl --model weights/en-sentiment-lstm --text-column review
  gatescope batch texts.jsonl entities.parquet --model zh-ner-bilstm
  gatescope batch texts.jsonl gates.parquet --model zh-sentiment-lstm --add labels,forget_gate.mean,phases
"""
_PARALLEL = """\
local: processes of this machine. ray: actors of a Ray cluster, which all see IN, OUT and the model's folder
under the same names (extra ray)"""


def add_batch(commands: Any) -> None:
    parser = commands.add_parser(
        "batch",
        help="answer a file of texts, in parallel, without a server",
        usage="gatescope batch IN OUT --model M [options]",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
    )
    parser.add_argument("input", type=Path, metavar="IN", help="a row a text")
    parser.add_argument("output", type=Path, metavar="OUT", help="named .jsonl or .parquet")
    parser.add_argument("--model", required=True, metavar="M", help="its folder, or its name in GATESCOPE_WEIGHTS_DIR")
    columns = parser.add_argument_group("columns")
    columns.add_argument("--text-column", default="text", metavar="NAME", help="of IN: a key or header, or a number")
    columns.add_argument("--add", type=_names, default=(), metavar="NAME,...", help=_add_help())
    columns.add_argument(
        "--prefix", default="", metavar="P", help="stands before the name of each new column; none by default"
    )
    columns.add_argument(
        "--decimals", type=as_type(_within(0, 9)), default=6, metavar="N", help="0 to 9, of reductions in JSON lines"
    )
    work = parser.add_argument_group("the work")
    work.add_argument("--engine", choices=("local", "ray"), default="local", help=_PARALLEL)
    work.add_argument(
        "--processes",
        type=as_type(_within(1, 1024)),
        default=cores(),
        metavar="N",
        help="default: the cores, here %(default)s",
    )
    work.add_argument(
        "--block-rows",
        type=as_type(_within(1, 65536)),
        default=BLOCK_ROWS,
        metavar="N",
        help="of a block, which one process answers as a whole and a kill costs; less for long texts and gates",
    )
    work.add_argument("--replace", action="store_true", help="write OUT anew where it is there already")
    parser.set_defaults(run=_batch)


def _add_help() -> str:
    gates = ", ".join(TENSORS["lstm"])
    fields = ", ".join(field for kind, fields in FIELDS.items() if kind != "phases" for field in fields)
    return (
        f"any of {', '.join(ANSWERS)}; a tensor ({gates}) with a reduction ({fields}), as in forget_gate.mean; "
        f"phases.{', phases.'.join(FIELDS['phases'])} or phases, of an LSTM; default: label,score of a classifier, "
        "entities of a tagger"
    )


def _names(value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _within(least: int, most: int) -> Item:
    def item(value: str) -> int:
        if not least <= (found := index(value)) <= most:
            raise ValueError(f"found {value!r}, allowed are {least} to {most}")
        return found

    return item


def _batch(options: argparse.Namespace) -> int:
    request = Request(
        options.input,
        options.output,
        _model_folder(options.model),
        options.add,
        options.text_column,
        Naming(options.prefix, options.decimals),
        options.block_rows,
        options.replace,
    )
    predictor = load_predictor(request.model)
    engine = local_engine(predictor, options.processes) if options.engine == "local" else _ray_engine(options.processes)
    try:
        outcome = run(request, predictor, engine, _progress)
    except KeyboardInterrupt:
        print("the same command goes on with what is not done yet", file=sys.stderr)
        raise
    print(_summary(request, outcome))
    return int(outcome.errors > 0)


def _model_folder(model: str) -> Path:
    """The folder that is named, or that of this name among the weights."""
    weights = read_settings({}).weights_dir
    for folder in (Path(model), weights / model):
        if (folder / MANIFEST).is_file():
            return folder
    names = sorted(path.parent.name for path in weights.glob(f"*/{MANIFEST}"))
    raise BatchError(
        f"--model is {model!r}, which is no model's folder and none of {str(weights)!r}: it has {', '.join(names)}"
        if names
        else f"--model is {model!r}, which is no model's folder, and {str(weights)!r} holds no model: name a folder"
    )


def _ray_engine(processes: int) -> Engine:
    """Of deploy/, which is part of a clone and of no package: who has a cluster adapts it."""
    if not _RAY.is_file():
        raise BatchError(
            "--engine ray is deploy/ray_data.py of the repository, which is not here: install from a clone"
        )
    spec = importlib.util.spec_from_file_location("ray_data", _RAY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        raise BatchError(
            "--engine ray needs Ray, which is not installed: `pip install 'gatescope-server[ray]'` brings it"
        ) from error
    engine: Engine = module.ray_engine(processes)
    return engine


def _summary(request: Request, outcome: Outcome) -> str:
    parts = [f"{request.output}: {outcome.rows:,} rows"]
    if outcome.resumed:
        parts.append(f"{outcome.resumed:,} of them by the run before")
    if outcome.errors:
        which = f"{request.naming.prefix}error"
        parts.append(f"{outcome.errors:,} with an error ({which} says why)")
    return ", ".join(parts)


@contextlib.contextmanager
def _progress(rows: int, done: int) -> Iterator[Callable[[int], object]]:
    """Rows a second and the time left, where tqdm is installed: on a terminal a bar, else a line each half minute."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda count: None
        return
    interval_s = 0.5 if sys.stderr.isatty() else 30
    with tqdm(desc="batch", total=rows, initial=done, unit="row", mininterval=interval_s) as bar:
        yield bar.update
