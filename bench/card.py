"""A CUDA card beside this machine's CPU and beside cuDNN: `python -m bench card`, about two minutes.

Answers are timed by the wall, with everything that a caller waits for; the recurrence alone by the card's own events.
Before anything is timed the answers are held against the CPU's.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.checkpoint.checkpoint import load_checkpoint
from models.inference.inspection import Inspection, Plan, plan
from models.inference.prediction import Prepared
from models.inference.predictor import Predictor
from models.inference.routing import RoutedPredictor
from models.network.network import Architecture, build
from models.runtime.cuda.runner import CudaRunner
from models.runtime.runner import TorchRunner
from models.text.features import Feature
from service.engine.pace import Pace

from .ratios import Spread, measure
from .results import Results, versions
from .texts import texts

MODEL = "zh-sentiment-lstm"
TOKENS, INPUTS, STEPS = 61, 300, 64
SIZES = (1, 8, 32, 256)
BATCHES = ((1, False), (32, True), (512, False))  # texts, ragged
WORK: dict[str, Inspection | None] = {
    "predict": None,
    "inspect": Inspection(),
    "reduce": Inspection(reduce=("mean", "saturation", "norm")),
}
CPU, REPLAY, OWN, AUTO = "cpu", "cuda, cuDNN", "cuda, our kernel", "auto"
Say = Callable[[str], None]


def run(weights: Path, rounds: int, say: Say) -> Results:
    """Raises: SystemExit where there is no card."""
    if not torch.cuda.is_available():
        raise SystemExit("there is no CUDA card on this machine: run `python -m bench card` where one is")
    torch.set_num_threads(1)
    properties = torch.cuda.get_device_properties(0)
    return {
        "card": properties.name,
        "multiprocessors": properties.multi_processor_count,
        "versions": versions("torch", "cuda-bindings"),
        "answers": list(answers(weights, rounds, say)),
        "recurrences": list(recurrences(rounds, say)),
    }


def predictors(weights: Path) -> dict[str, Predictor]:
    """The same model in each place; our kernel is left out where it cannot run, and the log says why."""
    checkpoint, device = load_checkpoint(weights / MODEL), torch.device("cuda", 0)

    def on_card(kernel: str) -> Predictor:
        return Predictor(replace(checkpoint, network=deepcopy(checkpoint.network)), device, kernel=kernel)

    cpu, replay, own = Predictor(checkpoint, torch.device("cpu")), on_card("auto"), on_card("cuda")
    routed = RoutedPredictor(cpu, own, Pace)
    routed.learn("我想吃汉堡 The quick brown fox " * 3)
    found = {CPU: cpu, REPLAY: replay, AUTO: routed}
    return found | ({OWN: own} if isinstance(own.runner, CudaRunner) else {})


def answers(weights: Path, rounds: int, say: Say) -> Iterator[Results]:
    """Predictions and inspections, whole, by the wall."""
    places = predictors(weights)
    cpu = places[CPU]
    for size in SIZES:
        batch = [cpu.prepare(text) for text in texts(cpu.vocabulary, "", [TOKENS] * size, seed=size)]
        for work, inspection in WORK.items():
            asked = plan(inspection, cpu.shape) if inspection else None
            say(f"{work}, {size} texts")
            calls = {name: caller(predictor, batch, asked) for name, predictor in places.items()}
            (timings,) = measure(calls, rounds, 0.05, [time.perf_counter])
            yield {
                "work": work,
                "texts": size,
                "seconds": {name: timings.spread(name).stored() for name in calls},
                "over_cpu": {name: timings.ratio(name, CPU).stored() for name in calls if name != CPU},
                "largest_difference": largest_difference(places, batch, asked),
                "certificate": certificate(places, batch, asked),
            }


def caller(predictor: Predictor, batch: Sequence[Prepared], asked: Plan | None) -> Callable[[], object]:
    return lambda: predictor.run(batch, asked)


def largest_difference(places: dict[str, Predictor], batch: Sequence[Prepared], asked: Plan | None) -> float:
    """Of any place's logits from the CPU's."""
    logits = [np.stack([p.logits for p in predictor.run(batch, asked)]) for predictor in places.values()]
    return float(max(np.abs(each - logits[0]).max() for each in logits))


def certificate(places: dict[str, Predictor], batch: Sequence[Prepared], asked: Plan | None) -> float | None:
    """The largest error of any certificate."""
    found = [p.inside for predictor in places.values() for p in predictor.run(batch, asked)]
    return max((inside.certificate.recurrence_max_abs_error for inside in found if inside), default=None)


def recurrences(rounds: int, say: Say) -> Iterator[Results]:
    """One direction of one layer, W_ih x included, by the card's events: microseconds."""
    device = torch.device("cuda", 0)
    for units in (128, 256):
        features = (Feature("token", 2, INPUTS),)
        network = build(Architecture("text-classification", "lstm", features, units, 1, ("forward",), 2))
        network.reset()
        replay = TorchRunner(network.to(device).eval().requires_grad_(False), device)
        runners: dict[str, TorchRunner | CudaRunner] = {"replay": replay}
        own = own_runner(replay, device)
        if own:
            runners["our kernel"] = own
        for count, ragged in BATCHES:
            say(f"H={units}, {count} texts")
            x = torch.randn(count, STEPS, INPUTS, device=device)
            lengths = torch.full((count,), STEPS, device="cpu")
            if ragged:
                lengths = torch.linspace(8, STEPS, count, device="cpu").long()
            library = network.encoder.recurrence(0, "forward").kernel
            calls: dict[str, Callable[[], object]] = {"nn.LSTM": library_call(library, x)}
            for name, runner in runners.items():
                calls[f"{name}, gates"] = recorded_call(runner, x, lengths)
            calls["LSTMCell loop"] = cell_loop(library, x)
            yield {
                "units": units,
                "texts": count,
                "ragged": ragged,
                "microseconds": {name: on_events(call, rounds).stored() for name, call in calls.items()},
            }


def own_runner(replay: TorchRunner, device: torch.device) -> CudaRunner | None:
    from models.runtime.cuda.runner import runner_on_card

    runner = runner_on_card(replay.network, device)
    return runner if isinstance(runner, CudaRunner) else None


def recorded_call(runner: TorchRunner | CudaRunner, x: Tensor, lengths: Tensor) -> Callable[[], object]:
    return lambda: runner.run_inputs(x, lengths, "gates")


def library_call(library: nn.Module, x: Tensor) -> Callable[[], object]:
    return lambda: library(x)


def cell_loop(library: nn.Module, x: Tensor) -> Callable[[], object]:
    """As one writes it to see the states of every step."""
    cell = nn.LSTMCell(x.shape[2], library.hidden_size).to(x.device)  # type: ignore[arg-type]
    for name, parameter in cell.named_parameters():
        parameter.data.copy_(library.get_parameter(f"{name}_l0"))

    def loop() -> object:
        state, states = None, []
        for t in range(x.shape[1]):
            state = cell(x[:, t], state)
            states.append(state)
        return states

    return loop


@torch.inference_mode()
def on_events(call: Callable[[], object], rounds: int, repeats: int = 10) -> Spread:
    """Microseconds of one call on the card."""
    for _ in range(3):
        call()
    found = []
    for _ in range(rounds):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        for _ in range(repeats):
            call()
        end.record()
        end.synchronize()
        found.append(1000 * begin.elapsed_time(end) / repeats)
    return Spread.from_values(found)
