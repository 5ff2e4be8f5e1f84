"""`python -m bench`: speed beside other libraries and servers. Results go to docs/performance/, the page to docs/."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import batch, client_size, forgeries, growth, replicas, report, results, serving, streaming, summary
from .peers.environments import InstallFailed, ensure
from .results import Results
from .scaling import page as scaling_page
from .targets import place, regressed, verdicts
from .wording import spread

EPILOG = """\
Each suite writes its own part of docs/performance/results.json; `report` makes docs/performance.md from the parts
that exist, so suites can be run one by one. Close everything else first: CPU time of one core is measured, and
another busy process takes part of its cache.

  python -m bench quick                      # 3 minutes, nothing is written; status 1 where a ratio is worse
  python -m bench kernels && python -m bench report
  python -m bench kernels --rounds 9         # more rounds: the medians settle, the ranges widen

Peers, ONNX Runtime among them, run in environments of their own under build/bench/, made when first needed
(TORCH_INDEX_URL, if set, is the package index for torch). A peer that cannot be installed is left out and reported.
"""


def say(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


def kernels(options: argparse.Namespace) -> None:
    """The fused recurrence beside torch's, a Python loop and ONNX Runtime: 10 minutes."""
    try:
        python = ensure("onnx")
    except InstallFailed as error:
        say(f"ONNX Runtime is left out: {error}")
        python = Path(sys.executable)
    results.merge("kernels", run_kernels(python, options.weights, "--rounds", str(options.rounds)))


def run_kernels(python: Path, weights: Path, *arguments: str) -> Results:
    """The kernels suite, in a process that may run in another environment."""
    return run_apart(python, "bench.kernels", "--weights", str(weights), *arguments)


def run_apart(python: Path, module: str, *arguments: str) -> Results:
    """What a module prints as JSON, in a process of its own; its progress goes to this one's stderr."""
    done = subprocess.run([str(python), "-m", module, *arguments], stdout=subprocess.PIPE, text=True)  # noqa: S603
    if done.returncode != 0:
        raise SystemExit(f"{module} ended with status {done.returncode}: its own message stands above")
    part: Results = json.loads(done.stdout)
    return part


def servers(options: argparse.Namespace) -> None:
    """This service beside FastAPI alone and other servers, over HTTP: 15 minutes."""
    results.merge("servers", serving.run(options.weights, serving.Effort(options.rounds), say))


def growing(options: argparse.Namespace) -> None:
    """How cost grows with tokens, texts, units, models, clients and answers: 10 minutes."""
    results.merge("growth", growth.run(options.weights, growth.Effort(rounds=options.rounds), say))


def card(options: argparse.Namespace) -> None:
    """A CUDA card beside this machine's CPU and cuDNN: 2 minutes, and only where there is a card."""
    from . import card as suite

    results.merge("card", suite.run(options.weights, options.rounds, say))


def page(options: argparse.Namespace) -> None:
    """docs/performance.md, its pictures and README's tables, from what is stored."""
    stored = results.read()
    if not stored:
        raise SystemExit(f"{results.STORED} is not there: run a suite first, for example `python -m bench kernels`")
    print(report.write(stored, Path("docs")))
    summary.write(stored)


def everything(options: argparse.Namespace) -> None:
    """All suites one after another, then the page."""
    for suite in (kernels, servers, growing, page):
        suite(options)


def quick(options: argparse.Namespace) -> None:
    """A few cases without peers, nothing written; status 1 for a ratio worse than its target and stored: 3 minutes."""
    stored = results.read()
    part = run_kernels(Path(sys.executable), options.weights, "--few", "--rounds", "3")
    for v in verdicts(part["cases"]):
        print(f"{v.target.name}: {v.target.ratio} {spread(v.spread)} at {place(v.worst)}: {v.outcome}")
    worse = regressed(part["cases"], stored.get("kernels", {}).get("cases", ()))
    lines, failed = serving.quick(serving.Effort(rounds=3, seconds=3.0, requests=50), stored.get("servers", {}))
    print("\n".join(lines))
    if worse or failed:
        raise SystemExit("\n".join([*worse, *failed]))


def streams(options: argparse.Namespace) -> None:
    """What a token of a stream costs: late, early, against prefixes, alone and 64 together: 3 minutes."""
    results.merge("streaming", streaming.run(options.weights, options.rounds, say))


def forged_tokens(options: argparse.Namespace) -> None:
    """A million forged or altered state tokens: how many are accepted: 2 minutes."""
    results.merge("forgeries", forgeries.run(1_000_000))


def killed_servers(options: argparse.Namespace) -> None:
    """A hundred thousand steps over two servers that are killed at random: what is lost: 10 minutes."""
    results.merge("replicas", replicas.run(options.weights, "zh-sentiment-lstm", steps=100_000, every_s=5.0))


def client(options: argparse.Namespace) -> None:
    """The client's size in an empty environment, and the time of its import: a minute, from a package index."""
    results.merge("client", client_size.run(Path("client").resolve(), options.rounds))


def on_ray(options: argparse.Namespace) -> None:
    """The service on Ray Serve beside itself alone, and two processes on two cores: 4 minutes, with the extra `ray`."""
    from .scaling import ray

    effort = ray.Effort(options.rounds)
    results.merge("ray", ray.run(options.weights / "zh-sentiment-lstm", effort, say), scaling_page.STORED)


def pace(options: argparse.Namespace) -> None:
    """What one core does, beside a small transformer in torch and ONNX Runtime: 3 minutes."""
    try:
        python = ensure("onnx")
    except InstallFailed as error:
        say(f"ONNX Runtime is left out: {error}")
        python = Path(sys.executable)
    arguments = ("--weights", str(options.weights), "--rounds", str(options.rounds))
    results.merge("pace", run_apart(python, "bench.scaling.pace", *arguments), scaling_page.STORED)


def scaling(options: argparse.Namespace) -> None:
    """docs/scaling.md from what `pace`, `ray` and a run of `gatescope batch` stored in docs/scaling/results.json."""
    stored = results.read(scaling_page.STORED)
    if "pace" not in stored:
        raise SystemExit(f"{scaling_page.STORED} has no pace: run `python -m bench pace` first")
    print(scaling_page.write(stored, Path("docs")))


def files(options: argparse.Namespace) -> None:
    """`gatescope batch`: processes beside one, a loop over the client, kills, memory of a million rows: 10 minutes."""
    results.merge("batch", batch.run(options.weights, options.rounds, say), batch.STORED)


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "kernels": kernels,
    "servers": servers,
    "growth": growing,
    "streaming": streams,
    "forgeries": forged_tokens,
    "replicas": killed_servers,
    "client": client,
    "batch": files,
    "card": card,
    "ray": on_ray,
    "pace": pace,
    "scaling": scaling,
    "report": page,
    "all": everything,
    "quick": quick,
}


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="suite")
    for name, command in COMMANDS.items():
        suite = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
        suite.set_defaults(command=command)
        suite.add_argument("--weights", type=Path, default=Path("weights"), help="the models (default: %(default)s)")
        suite.add_argument("--rounds", type=rounds, default=5, help="times that each contender is timed (default: 5)")
    return parser


def rounds(argument: str) -> int:
    if not argument.isdigit() or int(argument) < 1:
        raise argparse.ArgumentTypeError(f"rounds is {argument}: give a whole number from 1 on; 5 or more for figures")
    return int(argument)


def main() -> None:
    options = parser().parse_args()
    options.command(options)


if __name__ == "__main__":
    main()
