"""How cost grows with the text, the batch, the units, the models, the clients and the answer: `python -m bench growth`.

Run as `python -m bench.growth --loaded N` it loads N models and prints what they take: memory is a process's own.
"""

import argparse
import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models.checkpoint.checkpoint import load_checkpoint
from models.inference.inspection import Inspection
from models.inference.predictor import Predictor
from models.runtime.cpu.fused import FusedRunner
from models.runtime.cpu.kernel import Kernel
from models.runtime.cpu.tables import tabulate
from models.runtime.runner import Recording
from service.wire.rendering import JSON, NPZ, SAFETENSORS, Style, answer

from .contenders import FUSED, RECORDED, TABLE_BYTES, Network, looking_up
from .fits import fit
from .kernels import Say, batch, one_core, random
from .ratios import Spread, measure
from .results import versions
from .serving import requests_per_second
from .texts import texts

MODEL, GATES_MODEL, TOKENS = "zh-sentiment-lstm", "zh-sentiment-bilstm", 20
STYLES = {
    "json": Style(JSON), "base64": Style(JSON, "base64"), "safetensors": Style(SAFETENSORS), "npz": Style(NPZ),
}  # fmt: skip
Points = Sequence[tuple[float, Spread]]


@dataclass(frozen=True)
class Effort:
    """At which values of x each curve is measured, and how often. clients empty: no server is started."""

    tokens: Sequence[int] = (1, 4, 16, 64, 256, 1024, 4096)
    batch: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128)
    units: Sequence[int] = (32, 64, 128, 256, 512, 1024)
    loaded: Sequence[int] = (1, 2, 4, 6, 8, 12)
    clients: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128)
    answer_tokens: Sequence[int] = (4, 16, 64, 256, 1024)
    rounds: int = 5
    seconds: float = 3.0  # of load for each number of clients and round


@dataclass(frozen=True)
class Bench:
    """What every curve is measured with."""

    weights: Path
    effort: Effort
    kernel: Kernel

    @property
    def network(self) -> Network:
        return load_checkpoint(self.weights / MODEL).network

    def fused(self, network: Network, tokens: int, texts: int, recording: Recording) -> Callable[[], object]:
        runner = looking_up(network, self.kernel)
        given = batch(network, tokens, texts)
        return lambda: runner.run(given.ids, given.lengths, recording)

    def timed(self, calls: Mapping[int, Callable[[], object]]) -> Points:
        """Microseconds of CPU a call, for each x."""
        cpu = measure({str(x): call for x, call in calls.items()}, self.effort.rounds)[0]
        return [(x, cpu.spread(str(x)).times(1e6)) for x in calls]


def run(weights: Path, effort: Effort, say: Say) -> dict[str, Any]:
    """The suite's part of the results."""
    curves: dict[str, Any] = {}
    if effort.clients:  # first: the process keeps to one core from then on, and a server would inherit that
        say("growth: clients")
        curves |= by_clients(effort)
    bench = Bench(weights, effort, one_core())
    with torch.inference_mode():
        for measured in (by_tokens, by_batch, by_units, by_answer, by_models):
            say(f"growth: {measured.__name__.removeprefix('by_')}")
            curves |= measured(bench)
    return {
        "kernel": bench.kernel.name,
        "rounds": effort.rounds,
        "versions": versions("torch", "numpy"),
        "curves": curves,
    }


def curve(x: str, y: str, series: Mapping[str, Points]) -> dict[str, Any]:
    """As it is stored: the points of each series with the exponent of its fit, where there are enough of them."""
    told = {}
    for name, points in series.items():
        stored = [{"x": x, **spread.stored()} for x, spread in points]
        enough = len(points) >= 3
        told[name] = {
            "points": stored,
            "fit": fit([(x, spread.median) for x, spread in points]).stored() if enough else None,
        }
    return {"x": x, "y": y, "series": told}


def by_tokens(bench: Bench) -> dict[str, Any]:
    network = bench.network
    kinds: dict[str, Recording] = {FUSED: "nothing", RECORDED: "gates"}
    series = {
        name: bench.timed({t: bench.fused(network, t, 1, recording) for t in bench.effort.tokens})
        for name, recording in kinds.items()
    }
    return {"tokens": curve("tokens of one text", "CPU µs", series)}


def by_batch(bench: Bench) -> dict[str, Any]:
    network = bench.network
    calls = {n: bench.fused(network, TOKENS, n, "nothing") for n in bench.effort.batch}
    return {"batch": curve(f"texts of {TOKENS} tokens together", "CPU µs", {FUSED: bench.timed(calls)})}


def by_units(bench: Bench) -> dict[str, Any]:
    made = {units: random(units)() for units in bench.effort.units}
    series = {}
    for count, name in ((1, "1 text"), (32, "32 texts")):
        calls = {units: bench.fused(network, TOKENS, count, "nothing") for units, network in made.items()}
        series[name] = bench.timed(calls)
    return {"units": curve(f"hidden units, {TOKENS} tokens", "CPU µs", series)}


def by_answer(bench: Bench) -> dict[str, Any]:
    """From the text to the answer's bytes, all gates of it, in each of the forms."""
    predictor = Predictor(load_checkpoint(bench.weights / GATES_MODEL), torch.device("cpu"))
    if isinstance(predictor.runner, FusedRunner):
        tabulate([predictor.runner], TABLE_BYTES)
    calls: dict[str, dict[int, Callable[[], object]]] = {name: {} for name in STYLES}
    for text in texts(predictor.vocabulary, "", list(bench.effort.answer_tokens), seed=1):
        (said,) = predictor.predict([text], Inspection())
        assert said.inside is not None
        values = sum(v.size for v in said.inside.tensors.values())
        for name, style in STYLES.items():
            calls[name][values] = inspected(predictor, text, style)
    series = {name: bench.timed(its) for name, its in calls.items()}
    return {"answer": curve("numbers in the answer", "CPU µs", series)}


def inspected(predictor: Predictor, text: str, style: Style) -> Callable[[], bytes]:
    return lambda: answer(predictor, predictor.predict([text], Inspection()), {}, style, [text])


def by_models(bench: Bench) -> dict[str, Any]:
    """Each number of models in a process of its own; tables have one budget for all, as in the server."""
    memory, took = [], []
    for count in bench.effort.loaded:
        command = [sys.executable, "-m", "bench.growth", "--loaded", str(count), "--weights", str(bench.weights)]
        done = subprocess.run([*command, "--rounds", str(bench.effort.rounds)], capture_output=True, text=True)  # noqa: S603
        if done.returncode != 0:
            raise SystemExit(f"{count} models could not be loaded: {done.stderr.strip().splitlines()[-1]}")
        found = json.loads(done.stdout)
        memory.append((count, Spread.of([found["resident_mb"]])))
        took.append((count, Spread.of(found["microseconds"])))
    return {
        "memory": curve("models loaded", "resident MB", {"resident": memory}),
        "models": curve("models that take turns", f"CPU µs of {MODEL}'s prediction", {"prediction": took}),
    }


def by_clients(effort: Effort) -> dict[str, Any]:
    """Requests a second of this service over HTTP, by how many clients wait for an answer at once."""
    series = [(n, requests_per_second(n, effort.rounds, effort.seconds)) for n in effort.clients]
    return {"clients": curve("clients at once", "requests a second", {"ours": series})}


def loaded(weights: Path, count: int, rounds: int) -> dict[str, Any]:
    """What so many models take: resident memory, and the first one's time while all take turns."""
    one_core()
    names = sorted((p.parent.name for p in weights.glob("*/manifest.json")), key=lambda name: (name != MODEL, name))
    predictors = [Predictor(load_checkpoint(weights / name), torch.device("cpu")) for name in names[:count]]
    tabulate([p.runner for p in predictors if isinstance(p.runner, FusedRunner)], TABLE_BYTES)
    gc.collect()
    asked = [
        texts(p.vocabulary, "" if p.checkpoint.manifest.language == "zh" else " ", [TOKENS], seed=2) for p in predictors
    ]
    took = [_turns(predictors, asked) for _ in range(rounds + 1)]
    return {"models": len(predictors), "resident_mb": resident_mb(), "microseconds": took[1:]}


def _turns(predictors: Sequence[Predictor], asked: Sequence[list[str]], turns: int = 100) -> float:
    """Microseconds of CPU of the first one's prediction, mean over the turns."""
    spent = 0.0
    for _ in range(turns):
        for place, (predictor, of) in enumerate(zip(predictors, asked, strict=True)):
            began = time.process_time()
            predictor.predict(of)
            spent += time.process_time() - began if place == 0 else 0.0
    return spent / turns * 1e6


def resident_mb() -> float:
    """Of this process, in 10^6 bytes, as Linux counts it."""
    status = Path("/proc/self/status").read_text("utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path("weights"), help="the models (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="times that the prediction is timed (default: 5)")
    parser.add_argument("--loaded", type=int, required=True, help="how many models to load")
    asked = parser.parse_args()
    print(json.dumps(loaded(asked.weights, asked.loaded, asked.rounds)))


if __name__ == "__main__":
    main()
