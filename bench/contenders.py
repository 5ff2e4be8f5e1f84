"""The ways to run one network on the CPU: ids -> the top layer's hidden states, and for some every gate on the way.

All have the same weights and look the embedding up themselves. Whoever compares gives each what its users give it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from models.network.network import Classifier, Tagger
from models.recurrence.cells import GATES, CellWeights
from models.recurrence.layer import Direction
from models.runtime.cpu.fused import FusedRunner
from models.runtime.cpu.kernel import Kernel, Precision
from models.runtime.cpu.tables import tabulate
from models.runtime.runner import Activations, Recording, TorchRunner
from models.text.features import FeatureIds

FUSED, RECORDED, BF16 = "fused", "fused, gates recorded", "fused bf16"
LOOP, REPLAY = "LSTMCell loop", "torch replay"
LIBRARY = {"lstm": "nn.LSTM", "rnn": "nn.RNN"}
AGREE = 1e-4  # largest difference between two that compute in float32
TABLE_BYTES = 128_000_000  # the server's default, for this network alone
SHOWN = ("cell_state", *GATES)

Network = Classifier | Tagger


@dataclass(frozen=True)
class Batch:
    """Full-length texts: nothing is padding, so that nobody computes more than another."""

    ids: FeatureIds
    lengths: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """(texts, tokens)."""
        return len(self.lengths), int(self.lengths[0])


@dataclass(frozen=True)
class Contender:
    """run: what is timed. top, gates: its answer in one form, to compare; they are not timed.

    top gives [batch, time, direction * unit]; gates [layer, direction, tensor of `SHOWN`, batch, time, unit] or None.
    exact False: it computes in fewer bits, and its largest error is told in place of an assertion.
    ready: makes of a batch what `run` takes, before the clock starts.
    """

    name: str
    run: Callable[[Any], Any]
    top: Callable[[Any], Tensor]
    gates: Callable[[Any], Tensor | None] = lambda answer: None
    exact: bool = True
    ready: Callable[[Batch], Any] = lambda batch: batch


@dataclass(frozen=True)
class Field:
    """Who takes part, and why others do not: name -> sentence. looked_up: features in the fused kernel's tables."""

    contenders: tuple[Contender, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    looked_up: tuple[str, ...] = ()


def contenders(network: Network, kernel: Kernel) -> Field:
    """All but ONNX Runtime's, which `bench.graphs` has."""
    runner = looking_up(network, kernel)
    found = [
        fused(FUSED, runner, "nothing"),
        fused(RECORDED, runner, "gates"),
        fused(BF16, looking_up(network, kernel, "bfloat16"), "nothing", exact=False),
        library(network),
        *([step_loop(network)] if network.architecture.cell == "lstm" else []),
        replay(network),
    ]
    return Field(tuple(found), looked_up=tuple(runner.inputs[0].tables))


def fused(name: str, runner: FusedRunner, recording: Recording, exact: bool = True) -> Contender:
    def run(batch: Batch) -> Any:
        return runner.run(batch.ids, batch.lengths, recording)

    return Contender(name, run, lambda answer: answer[0].top, lambda answer: stacked(answer[1]), exact)


def looking_up(network: Network, kernel: Kernel, precision: Precision = "float32") -> FusedRunner:
    """One thread, and tables as a server of this network alone has them."""
    runner = FusedRunner(network, kernel, precision)
    tabulate([runner], TABLE_BYTES)
    return runner


def library(network: Network) -> Contender:
    """One multi-layer nn.LSTM or nn.RNN over the embedded batch: the way that torch's documentation shows."""
    a = network.architecture
    kind = nn.LSTM if a.cell == "lstm" else nn.RNN
    module = kind(network.embedding.size, a.units, a.layers, batch_first=True, bidirectional=len(a.directions) == 2)
    with torch.no_grad():
        for layer in range(a.layers):
            for direction in a.directions:
                copy_weights(module, weights(network, layer, direction), layer, direction)
    module.eval().requires_grad_(False)

    def run(batch: Batch) -> Tensor:
        out: Tensor = module(network.embedding(batch.ids))[0]
        return out

    return Contender(LIBRARY[a.cell], run, lambda answer: answer)


def copy_weights(module: nn.RNNBase, of: CellWeights, layer: int, direction: Direction) -> None:
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        parameter = module.get_parameter(f"{name}_l{layer}{'_reverse' if direction == 'reverse' else ''}")
        parameter.copy_(getattr(of, name))


def replay(network: Network) -> Contender:
    """This project's own way without the kernel: torch's states, then every gate in one product."""
    runner = TorchRunner(network, torch.device("cpu"))

    def run(batch: Batch) -> Any:
        return runner.run(batch.ids, batch.lengths, "gates")

    return Contender(REPLAY, run, lambda answer: answer[0].top, lambda answer: stacked(answer[1]))


def step_loop(network: Network) -> Contender:
    """A Python loop over time that keeps every gate: how one gets at them where the library hides them."""
    a = network.architecture

    def run(batch: Batch) -> tuple[Tensor, Activations]:
        x, seen = network.embedding(batch.ids), []
        for layer in range(a.layers):
            seen.append([lstm_loop(x, weights(network, layer, d), d) for d in a.directions])
            x = torch.cat([found["hidden_state"] for found in seen[-1]], dim=-1)
        return x, seen

    return Contender(LOOP, run, lambda answer: answer[0], lambda answer: stacked(answer[1]))


def lstm_loop(x: Tensor, w: CellWeights, direction: Direction) -> dict[str, Tensor]:
    """Every state and gate of one layer in one direction: x [batch, time, input] -> each [batch, time, unit]."""
    h = c = x.new_zeros(len(x), w.units)
    kept: dict[str, list[Tensor]] = {name: [] for name in ("hidden_state", *SHOWN)}
    steps = x.unbind(1)
    for x_t in steps if direction == "forward" else reversed(steps):
        z = nn.functional.linear(x_t, w.weight_ih, w.bias_ih) + nn.functional.linear(h, w.weight_hh, w.bias_hh)
        z_i, z_f, z_g, z_o = z.chunk(4, dim=1)
        i, f, g, o = torch.sigmoid(z_i), torch.sigmoid(z_f), torch.tanh(z_g), torch.sigmoid(z_o)
        c = f * c + i * g
        h = o * torch.tanh(c)
        for values, of in zip(kept.values(), (h, c, i, f, g, o), strict=True):
            values.append(of)
    order = slice(None, None, 1 if direction == "forward" else -1)
    return {name: torch.stack(values[order], dim=1) for name, values in kept.items()}


def weights(network: Network, layer: int, direction: Direction) -> CellWeights:
    return network.encoder.recurrence(layer, direction).weights


def stacked(activations: Activations | None) -> Tensor | None:
    """None where no gates are there: nothing was recorded, or the cell is an RNN."""
    if activations is None or "cell_state" not in activations[0][0]:
        return None
    return torch.stack([torch.stack([torch.stack([d[n] for n in SHOWN]) for d in layer]) for layer in activations])


def compare(field: Field, batch: Batch) -> dict[str, float]:
    """The largest difference of each contender from the library's states, and of its gates from the replayed ones.

    Raises: AssertionError where an exact one differs by more than `AGREE`.
    """
    answers = {c.name: c.run(c.ready(batch)) for c in field.contenders}
    by_name = {c.name: c for c in field.contenders}
    library = next(name for name in by_name if name in LIBRARY.values())
    states, gates = by_name[library].top(answers[library]), by_name[REPLAY].gates(answers[REPLAY])
    errors = {}
    for name, its in by_name.items():
        errors[name] = difference(its.top(answers[name]), states)
        shown = its.gates(answers[name])
        if shown is not None and gates is not None:
            errors[name] = max(errors[name], difference(shown, gates))
        if its.exact and not errors[name] < AGREE:
            raise AssertionError(f"{name} differs from {library} by {errors[name]:.1e}: allowed is {AGREE:g}")
    return errors


def difference(a: Tensor, b: Tensor) -> float:
    if a.shape != b.shape:
        raise AssertionError(f"shapes {list(a.shape)} and {list(b.shape)}: the same states have the same shape")
    return float((a - b).abs().max())
