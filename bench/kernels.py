"""The fused recurrence compared with its peers on one core: `python -m bench kernels`.

`python -m bench.kernels` prints its results as JSON, so that it can run in the environment that has ONNX Runtime.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.checkpoint.checkpoint import load_checkpoint
from models.network.network import Architecture, build
from models.recurrence.cells import Cell
from models.recurrence.layer import Direction
from models.runtime.cpu.kernel import Kernel, choose
from models.text.features import Feature, batch_ids, text_ids
from models.text.tokens import Tokens

from .contenders import BF16, FUSED, LIBRARY, LOOP, RECORDED, Batch, Field, Network, compare, contenders
from .graphs import INT8, with_onnx
from .limits import limits, work
from .ratios import Spread, Timings, measure, significant
from .results import versions

SHIPPED = (
    "zh-sentiment-lstm",
    "en-sentiment-lstm",
    "zh-ner-lstm",
    "zh-sentiment-rnn",
    "en-sentiment-rnn",
    "zh-ner-rnn",
    "zh-sentiment-bilstm",
    "zh-ner-bilstm",
)
UNITS = (64, 128, 256, 512)
SIZES = tuple((tokens, texts) for tokens in (20, 64) for texts in (1, 8, 32))
TWO_LAYER_SIZES = ((20, 1), (64, 1), (64, 8), (64, 32), (64, 128))
TWO_LAYERS = "random 2-layer BiLSTM 256"
BOTH: tuple[Direction, ...] = ("forward", "reverse")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """A network and the sizes (tokens, texts) at which it is timed. shipped False: random weights."""

    name: str
    make: Callable[[], Network]
    sizes: Sequence[tuple[int, int]]
    shipped: bool = True


def subjects(weights: Path) -> list[Subject]:
    """The shipped models with one layer, and random ones for sizes that no shipped model has."""
    return [
        *(Subject(name, shipped(weights / name), SIZES) for name in SHIPPED),
        *(Subject(f"random LSTM {units}", random(units), SIZES, shipped=False) for units in UNITS),
        Subject(TWO_LAYERS, random(256, layers=2, directions=BOTH), TWO_LAYER_SIZES, shipped=False),
    ]


def few(weights: Path) -> list[Subject]:
    """For a quick check: each target with one or two cases."""
    ends = ((20, 1), (64, 32))
    return [
        *(Subject(name, shipped(weights / name), ends) for name in ("zh-sentiment-lstm", "zh-sentiment-rnn")),
        Subject("random LSTM 512", random(512), ends, shipped=False),
        Subject(TWO_LAYERS, random(256, layers=2, directions=BOTH), ((64, 1), (64, 32)), shipped=False),
    ]


def shipped(folder: Path) -> Callable[[], Network]:
    return lambda: load_checkpoint(folder).network


def random(
    units: int, cell: Cell = "lstm", layers: int = 1, directions: tuple[Direction, ...] = ("forward",)
) -> Callable[[], Network]:
    """Embedding 300 of 5000 tokens, weights as at the start of training."""

    def make() -> Network:
        torch.manual_seed(0)
        network = build(
            Architecture("text-classification", cell, (Feature("token", 5000, 300),), units, layers, directions, 2)
        )
        network.reset()
        return network.eval().requires_grad_(False)

    return make


def batch(network: Network, tokens: int, texts: int, seed: int = 0) -> Batch:
    """Texts of exactly `tokens` tokens, drawn uniformly from the vocabulary; without one, ids are drawn."""
    draw = np.random.default_rng(seed)
    features = network.architecture.features
    vocabulary, lengths = features[0].vocabulary, torch.full((texts,), tokens)
    if vocabulary is None:
        ids = {f.kind: torch.from_numpy(draw.integers(1, f.rows, (texts, tokens, 1))) for f in features}
        return Batch(ids, lengths)
    forms = [form for form in vocabulary.forms if form.isalnum()]
    drawn = [joined([forms[k] for k in draw.integers(0, len(forms), tokens)]) for _ in range(texts)]
    return Batch(batch_ids([text_ids(features, text) for text in drawn]), lengths)


def joined(forms: Sequence[str]) -> Tokens:
    """One token for each form, separated by spaces; made without a tokenizer, which could merge two forms."""
    ends = list(accumulate(len(form) + 1 for form in forms))
    starts = [0, *ends[:-1]]
    return Tokens(" ".join(forms), starts, [end - 1 for end in ends], forms)


@torch.inference_mode()
def run(subjects: Sequence[Subject], rounds: int, say: Say) -> dict[str, Any]:
    """The suite's part of the results; binds this process to one core."""
    kernel = one_core()
    cases: list[dict[str, Any]] = []
    left_out: dict[str, dict[str, list[str]]] = {}  # contender -> reason -> names of weights
    for place, subject in enumerate(subjects, 1):
        say(f"kernels: {place} of {len(subjects)}: {subject.name}")
        network = subject.make()
        field = with_onnx(contenders(network, kernel), network)
        for name, reason in field.left_out.items():
            left_out.setdefault(name, {}).setdefault(reason, []).append(subject.name)
        cases += [timed_case(subject, network, field, tokens, texts, rounds) for tokens, texts in subject.sizes]
    say("kernels: the machine's limits")
    matrix_floats = sorted({4 * case["units"] ** 2 for case in cases if case["cell"] == "lstm"})  # of W_hh
    return {
        "kernel": kernel.name,
        "rounds": rounds,
        "versions": versions("torch", "numpy", "onnx", "onnxruntime"),
        "left_out": left_out,
        "cases": cases,
        "limits": limits(matrix_floats, rounds),
    }


def one_core() -> Kernel:
    """Binds this process to one core and torch to one thread; returns the best kernel of this machine.

    Raises: SystemExit without a fused kernel.
    """
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    kernel = choose("auto")
    if kernel is None:
        raise SystemExit("no fused kernel was built here: `make test` builds it where there is a C++ compiler")
    return kernel


def timed_case(
    subject: Subject, network: Network, field: Field, tokens: int, texts: int, rounds: int
) -> dict[str, Any]:
    """One network at one size: outputs are compared first, then every contender is timed."""
    a, drawn = network.architecture, batch(network, tokens, texts)
    errors = compare(field, drawn)
    calls = {c.name: call(c.run, c.prepare(drawn)) for c in field.contenders}
    cpu, wall = measure(calls, rounds)
    return {
        "weights": subject.name,
        "shipped": subject.shipped,
        "cell": a.cell,
        "layers": a.layers,
        "directions": len(a.directions),
        "units": a.units,
        "input": network.embedding.size,
        "looked_up": list(field.looked_up),
        "tokens": tokens,
        "texts": texts,
        **work(network, field.looked_up, tokens, texts),
        "cpu_us": microseconds(cpu),
        "wall_us": microseconds(wall),
        "ratios": {f"{over} / {under}": cpu.ratio(over, under).stored() for over, under in pairs(list(calls))},
        "errors": {name: significant(error, 2) for name, error in errors.items()},
    }


def call(run: Callable[[Any], Any], prepared: Any) -> Callable[[], object]:
    return lambda: run(prepared)


def microseconds(timings: Timings) -> dict[str, dict[str, float]]:
    return {name: Spread.from_values(seconds).times(1e6).stored() for name, seconds in timings.seconds.items()}


def pairs(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Every contender over the library, and the other pairs whose ratio has a target."""
    library = next(name for name in names if name in LIBRARY.values())
    yield from ((name, library) for name in names if name != library)
    others = ((RECORDED, FUSED), (RECORDED, LOOP), (BF16, INT8))
    yield from (pair for pair in others if set(pair) <= set(names))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.kernels", description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path("weights"), help="the models (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="times that every contender is timed (default: 5)")
    parser.add_argument("--few", action="store_true", help="a few cases only")
    options = parser.parse_args()
    timed = few(options.weights) if options.few else subjects(options.weights)
    print(json.dumps(run(timed, options.rounds, lambda message: print(message, file=sys.stderr, flush=True))))


if __name__ == "__main__":
    main()
