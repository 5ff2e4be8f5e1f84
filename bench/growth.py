"""How cost grows with tokens, batch size, units, models, clients and answer size: `python -m bench growth`.

`python -m bench.growth --loaded N` loads N models and prints their cost; memory is measured in a process of its own.
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
    "json": Style(JSON),
    "base64": Style(JSON, "base64"),
    "safetensors": Style(SAFETENSORS),
    "npz": Style(NPZ),
}
Points = Sequence[tuple[float, Spread]]


@dataclass(frozen=True)
class Effort:
    """The values of x for each curve, and how often each is measured. clients empty: no server is started."""

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
    """What all curves need: the models, the effort and the kernel."""

    weights: Path
    effort: Effort
    kernel: Kernel

    @property
    def network(self) -> Network:
        return load_checkpoint(self.weights / MODEL).network

    def fused(self, network: Network, tokens: int, texts: int, recording: Recording) -> Callable[[], object]:
        runner = looking_up(network, self.kernel)
        drawn = batch(network, tokens, texts)
        return lambda: runner.run(drawn.ids, drawn.lengths, recording)

    def timed(self, calls: Mapping[int, Callable[[], object]]) -> Points:
        """Microseconds of CPU for one call, for each x."""
        cpu = measure({str(x): call for x, call in calls.items()}, self.effort.rounds)[0]
        return [(x, cpu.spread(str(x)).times(1e6)) for x in calls]


def run(weights: Path, effort: Effort, say: Say) -> dict[str, Any]:
    """The suite's part of the results."""
    curves: dict[str, Any] = {}
    if effort.clients:  # first, because `one_core` below would also bind the servers to that core
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
    """A curve in the stored form: each series' points and, from three points on, its fit."""
    stored = {}
    for name, points in series.items():
        enough = len(points) >= 3
        stored[name] = {
            "points": [{"x": x, **spread.stored()} for x, spread in points],
            "fit": fit([(x, spread.median) for x, spread in points]).stored() if enough else None,
        }
    return {"x": x, "y": y, "series": stored}


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
    networks = {units: random(units)() for units in bench.effort.units}
    series = {}
    for count, name in ((1, "1 text"), (32, "32 texts")):
        calls = {units: bench.fused(network, TOKENS, count, "nothing") for units, network in networks.items()}
        series[name] = bench.timed(calls)
    return {"units": curve(f"hidden units, {TOKENS} tokens", "CPU µs", series)}


def by_answer(bench: Bench) -> dict[str, Any]:
    """From the text to the answer's bytes with every gate, in each of `STYLES`."""
    predictor = Predictor(load_checkpoint(bench.weights / GATES_MODEL), torch.device("cpu"))
    if isinstance(predictor.runner, FusedRunner):
        tabulate([predictor.runner], TABLE_BYTES)
    calls: dict[str, dict[int, Callable[[], object]]] = {name: {} for name in STYLES}
    for text in texts(predictor.vocabulary, "", list(bench.effort.answer_tokens), seed=1):
        (prediction,) = predictor.predict([text], Inspection())
        assert prediction.inside is not None
        values = sum(v.size for v in prediction.inside.tensors.values())
        for name, style in STYLES.items():
            calls[name][values] = inspected(predictor, text, style)
    series = {name: bench.timed(by_size) for name, by_size in calls.items()}
    return {"answer": curve("numbers in the answer", "CPU µs", series)}


def inspected(predictor: Predictor, text: str, style: Style) -> Callable[[], bytes]:
    return lambda: answer(predictor, predictor.predict([text], Inspection()), {}, style, [text])


def by_models(bench: Bench) -> dict[str, Any]:
    """Memory and time for each number of models, in its own process; all tables share one budget, as when served."""
    memory, microseconds = [], []
    for count in bench.effort.loaded:
        command = [sys.executable, "-m", "bench.growth", "--loaded", str(count), "--weights", str(bench.weights)]
        done = subprocess.run([*command, "--rounds", str(bench.effort.rounds)], capture_output=True, text=True)  # noqa: S603
        if done.returncode != 0:
            raise SystemExit(f"{count} models could not be loaded: {done.stderr.strip().splitlines()[-1]}")
        measured = json.loads(done.stdout)
        memory.append((count, Spread.from_values([measured["resident_mb"]])))
        microseconds.append((count, Spread.from_values(measured["microseconds"])))
    return {
        "memory": curve("models loaded", "resident MB", {"resident": memory}),
        "models": curve("models that take turns", f"CPU µs of {MODEL}'s prediction", {"prediction": microseconds}),
    }


def by_clients(effort: Effort) -> dict[str, Any]:
    """Requests a second of this service over HTTP, for each number of clients that send requests at once."""
    series = [(n, requests_per_second(n, effort.rounds, effort.seconds)) for n in effort.clients]
    return {"clients": curve("clients at once", "requests a second", {"ours": series})}


def loaded(weights: Path, count: int, rounds: int) -> dict[str, Any]:
    """The cost of `count` models: resident memory, and the first model's time while all take turns."""
    one_core()
    names = sorted((p.parent.name for p in weights.glob("*/manifest.json")), key=lambda name: (name != MODEL, name))
    predictors = [Predictor(load_checkpoint(weights / name), torch.device("cpu")) for name in names[:count]]
    tabulate([p.runner for p in predictors if isinstance(p.runner, FusedRunner)], TABLE_BYTES)
    gc.collect()
    inputs = [
        texts(p.vocabulary, "" if p.checkpoint.manifest.language == "zh" else " ", [TOKENS], seed=2) for p in predictors
    ]
    microseconds = [_turns(predictors, inputs) for _ in range(rounds + 1)]
    return {"models": len(predictors), "resident_mb": resident_mb(), "microseconds": microseconds[1:]}


def _turns(predictors: Sequence[Predictor], inputs: Sequence[list[str]], turns: int = 100) -> float:
    """Microseconds of CPU for the first model's prediction, the mean over the turns."""
    spent = 0.0
    for _ in range(turns):
        for place, (predictor, model_texts) in enumerate(zip(predictors, inputs, strict=True)):
            start = time.process_time()
            predictor.predict(model_texts)
            spent += time.process_time() - start if place == 0 else 0.0
    return spent / turns * 1e6


def resident_mb() -> float:
    """This process's resident memory in 10^6 bytes, as Linux counts it."""
    status = Path("/proc/self/status").read_text("utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path("weights"), help="the models (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="times that the prediction is timed (default: 5)")
    parser.add_argument("--loaded", type=int, required=True, help="how many models to load")
    options = parser.parse_args()
    print(json.dumps(loaded(options.weights, options.loaded, options.rounds)))


if __name__ == "__main__":
    main()
