"""`python -m bench`: how fast, against what others do. Results go to docs/performance/, the page to docs/."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import growth, report, results, serving, summary
from .peers.environments import InstallFailed, ensure
from .results import Results
from .targets import place, regressed, verdicts
from .wording import spread

EPILOG = """\
Each suite writes its own part into docs/performance/results.json; `report` makes docs/performance.md from
whatever is there, so suites can be run one by one. Close everything else first: what is measured is CPU time of
one core, and a busy neighbour takes its cache.

  python -m bench quick                      # 3 minutes, nothing is written; status 1 where a ratio has grown
  python -m bench kernels && python -m bench report
  python -m bench kernels --rounds 9         # more rounds: the medians settle, the ranges widen

Peers, ONNX Runtime among them, run in environments of their own, made under build/bench/ when they are first needed
(TORCH_INDEX_URL, where set, is the index that torch comes from). A peer that cannot be installed is left out, and told.
"""


def say(words: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


def kernels(asked: argparse.Namespace) -> None:
    """The fused recurrence beside torch's, a Python loop and ONNX Runtime: 10 minutes."""
    try:
        python = ensure("onnx")
    except InstallFailed as error:
        say(f"ONNX Runtime is left out: {error}")
        python = Path(sys.executable)
    results.merge("kernels", run_kernels(python, asked.weights, "--rounds", str(asked.rounds)))


def run_kernels(python: Path, weights: Path, *options: str) -> Results:
    """In a process of its own, and perhaps of another environment; its progress goes to this one's stderr."""
    command = [str(python), "-m", "bench.kernels", "--weights", str(weights), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    if done.returncode != 0:
        raise SystemExit(f"the kernels suite ended with status {done.returncode}: its own message stands above")
    found: Results = json.loads(done.stdout)
    return found


def servers(asked: argparse.Namespace) -> None:
    """This service beside FastAPI alone and other servers, over HTTP: 15 minutes."""
    results.merge("servers", serving.run(asked.weights, serving.Effort(asked.rounds), say))


def growing(asked: argparse.Namespace) -> None:
    """How cost grows with tokens, texts, units, models, clients and answers: 10 minutes."""
    results.merge("growth", growth.run(asked.weights, growth.Effort(rounds=asked.rounds), say))


def page(asked: argparse.Namespace) -> None:
    """docs/performance.md, its pictures and README's tables, from what is stored."""
    found = results.read()
    if not found:
        raise SystemExit(f"{results.STORED} is not there: run a suite first, for example `python -m bench kernels`")
    print(report.write(found, Path("docs")))
    summary.write(found)


def everything(asked: argparse.Namespace) -> None:
    """All suites one after another, then the page."""
    for suite in (kernels, servers, growing, page):
        suite(asked)


def quick(asked: argparse.Namespace) -> None:
    """A few cases without peers, nothing written; status 1 where a ratio is worse than asked and stored: 3 minutes."""
    stored = results.read()
    part = run_kernels(Path(sys.executable), asked.weights, "--few", "--rounds", "3")
    for v in verdicts(part["cases"]):
        print(f"{v.target.name}: {v.target.ratio} {spread(v.spread)} at {place(v.worst)}: {v.said}")
    worse = regressed(part["cases"], stored.get("kernels", {}).get("cases", ()))
    told, failed = serving.quick(serving.Effort(rounds=3, seconds=3.0, requests=50), stored.get("servers", {}))
    print("\n".join(told))
    if worse or failed:
        raise SystemExit("\n".join([*worse, *failed]))


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "kernels": kernels, "servers": servers, "growth": growing, "report": page, "all": everything, "quick": quick,
}  # fmt: skip


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = made.add_subparsers(required=True, metavar="suite")
    for name, command in COMMANDS.items():
        its = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
        its.set_defaults(command=command)
        its.add_argument("--weights", type=Path, default=Path("weights"), help="the models (default: %(default)s)")
        its.add_argument("--rounds", type=rounds, default=5, help="times that everybody is timed (default: 5)")
    return made


def rounds(said: str) -> int:
    if not said.isdigit() or int(said) < 1:
        raise argparse.ArgumentTypeError(f"rounds is {said}: give a whole number from 1 on; 5 or more for figures")
    return int(said)


def main() -> None:
    asked = parser().parse_args()
    asked.command(asked)


if __name__ == "__main__":
    main()
