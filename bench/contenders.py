"""The ways to run one network on the CPU: ids -> the top layer's hidden states and, for some, every gate.

All have the same weights and include the embedding's look-up.
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
AGREE = 1e-4  # the largest allowed difference between two contenders in float32
TABLE_BYTES = 128_000_000  # the server's default, here for one network
COMPARED = ("cell_state", *GATES)

Network = Classifier | Tagger


@dataclass(frozen=True)
class Batch:
    """Texts of one length, without padding, so that no contender computes more than another."""

    ids: FeatureIds
    lengths: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """(texts, tokens)."""
        return len(self.lengths), int(self.lengths[0])


@dataclass(frozen=True)
class Contender:
    """A way to run a network. Only `run` is timed; top and gates convert its output to a common form for comparison.

    top returns [batch, time, direction * unit]; gates [layer, direction, tensor of `COMPARED`, batch, time, unit] or
    None.
    exact False: it computes in fewer bits, so its largest error is reported, not asserted.
    prepare: batch -> the argument of `run`, called before timing.
    """

    name: str
    run: Callable[[Any], Any]
    top: Callable[[Any], Tensor]
    gates: Callable[[Any], Tensor | None] = lambda output: None
    exact: bool = True
    prepare: Callable[[Batch], Any] = lambda batch: batch


@dataclass(frozen=True)
class Field:
    """The contenders, and why others are left out: name -> reason. looked_up: features in the fused kernel's tables."""

    contenders: tuple[Contender, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    looked_up: tuple[str, ...] = ()


def contenders(network: Network, kernel: Kernel) -> Field:
    """All contenders except ONNX Runtime's, which `bench.graphs` adds."""
    runner = looking_up(network, kernel)
    members = [
        fused(FUSED, runner, "nothing"),
        fused(RECORDED, runner, "gates"),
        fused(BF16, looking_up(network, kernel, "bfloat16"), "nothing", exact=False),
        library(network),
        *([step_loop(network)] if network.architecture.cell == "lstm" else []),
        replay(network),
    ]
    return Field(tuple(members), looked_up=tuple(runner.inputs[0].tables))


def fused(name: str, runner: FusedRunner, recording: Recording, exact: bool = True) -> Contender:
    def run(batch: Batch) -> Any:
        return runner.run(batch.ids, batch.lengths, recording)

    return Contender(name, run, lambda output: output[0].top, lambda output: stacked(output[1]), exact)


def looking_up(network: Network, kernel: Kernel, precision: Precision = "float32") -> FusedRunner:
    """A runner with one thread, and with the tables that a server of this one network makes."""
    runner = FusedRunner(network, kernel, precision)
    tabulate([runner], TABLE_BYTES)
    return runner


def library(network: Network) -> Contender:
    """One multi-layer nn.LSTM or nn.RNN over the embedded batch, as in torch's documentation."""
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

    return Contender(LIBRARY[a.cell], run, lambda output: output)


def copy_weights(module: nn.RNNBase, source: CellWeights, layer: int, direction: Direction) -> None:
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        parameter = module.get_parameter(f"{name}_l{layer}{'_reverse' if direction == 'reverse' else ''}")
        parameter.copy_(getattr(source, name))


def replay(network: Network) -> Contender:
    """This project without its kernel: torch's states, then every gate by one product."""
    runner = TorchRunner(network, torch.device("cpu"))

    def run(batch: Batch) -> Any:
        return runner.run(batch.ids, batch.lengths, "gates")

    return Contender(REPLAY, run, lambda output: output[0].top, lambda output: stacked(output[1]))


def step_loop(network: Network) -> Contender:
    """A Python loop over time that keeps every gate, as users write it because the library does not return gates."""
    a = network.architecture

    def run(batch: Batch) -> tuple[Tensor, Activations]:
        x, activations = network.embedding(batch.ids), []
        for layer in range(a.layers):
            activations.append([lstm_loop(x, weights(network, layer, d), d) for d in a.directions])
            x = torch.cat([tensors["hidden_state"] for tensors in activations[-1]], dim=-1)
        return x, activations

    return Contender(LOOP, run, lambda output: output[0], lambda output: stacked(output[1]))


def lstm_loop(x: Tensor, w: CellWeights, direction: Direction) -> dict[str, Tensor]:
    """Every state and gate of one layer in one direction: x [batch, time, input] -> each [batch, time, unit]."""
    h = c = x.new_zeros(len(x), w.units)
    kept: dict[str, list[Tensor]] = {name: [] for name in ("hidden_state", *COMPARED)}
    steps = x.unbind(1)
    for x_t in steps if direction == "forward" else reversed(steps):
        z = nn.functional.linear(x_t, w.weight_ih, w.bias_ih) + nn.functional.linear(h, w.weight_hh, w.bias_hh)
        z_i, z_f, z_g, z_o = z.chunk(4, dim=1)
        i, f, g, o = torch.sigmoid(z_i), torch.sigmoid(z_f), torch.tanh(z_g), torch.sigmoid(z_o)
        c = f * c + i * g
        h = o * torch.tanh(c)
        for values, value in zip(kept.values(), (h, c, i, f, g, o), strict=True):
            values.append(value)
    order = slice(None, None, 1 if direction == "forward" else -1)
    return {name: torch.stack(values[order], dim=1) for name, values in kept.items()}


def weights(network: Network, layer: int, direction: Direction) -> CellWeights:
    return network.encoder.recurrence(layer, direction).weights


def stacked(activations: Activations | None) -> Tensor | None:
    """[layer, direction, tensor of `COMPARED`, batch, time, unit]; None without gates: not recorded, or an RNN."""
    if activations is None or "cell_state" not in activations[0][0]:
        return None
    return torch.stack([torch.stack([torch.stack([d[n] for n in COMPARED]) for d in layer]) for layer in activations])


def compare(field: Field, batch: Batch) -> dict[str, float]:
    """Each contender's largest difference from the library's states and, with gates, from the replayed gates.

    Raises: AssertionError where an exact contender differs by more than `AGREE`.
    """
    outputs = {c.name: c.run(c.prepare(batch)) for c in field.contenders}
    by_name = {c.name: c for c in field.contenders}
    library = next(name for name in by_name if name in LIBRARY.values())
    states, gates = by_name[library].top(outputs[library]), by_name[REPLAY].gates(outputs[REPLAY])
    errors = {}
    for name, contender in by_name.items():
        errors[name] = difference(contender.top(outputs[name]), states)
        contender_gates = contender.gates(outputs[name])
        if contender_gates is not None and gates is not None:
            errors[name] = max(errors[name], difference(contender_gates, gates))
        if contender.exact and not errors[name] < AGREE:
            raise AssertionError(f"{name} differs from {library} by {errors[name]:.1e}: allowed is {AGREE:g}")
    return errors


def difference(a: Tensor, b: Tensor) -> float:
    if a.shape != b.shape:
        raise AssertionError(f"shapes {list(a.shape)} and {list(b.shape)} differ")
    return float((a - b).abs().max())
