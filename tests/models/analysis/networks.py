"""Random networks of every kind in float64, one text or a padded batch run through them; and their step loop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.analysis.attribution import Output
from models.analysis.subject import Subject, TextRuns
from models.network.network import Architecture, Classifier, Reads, Tagger, build
from models.recurrence.cells import Cell, lstm_step, rnn_step
from models.recurrence.encoder import Pass
from models.recurrence.layer import Direction
from models.runtime.runner import Activations, Runner, TorchRunner
from models.text.features import Feature, TextIds
from models.text.tokens import Tokens
from tests.oracles import weights_of

INPUT, UNITS, OUTPUTS = 5, 6, 4
BOTH: tuple[Direction, ...] = ("forward", "reverse")
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Kind:
    """What a test runs over. read: the head; ``tagger`` for an NER network."""

    cell: Cell
    directions: tuple[Direction, ...]
    layers: int
    read: str

    def __str__(self) -> str:
        return f"{self.cell}-{'bi' if len(self.directions) > 1 else 'forward'}-{self.layers}-{self.read}"


KINDS = [
    Kind(cell, directions, layers, read)
    for cell in ("rnn", "lstm")
    for directions in (("forward",), BOTH)
    for layers in (1, 2, 3)
    for read in ("last_state", "mean_max", "tagger")
]


def make(kind: Kind, seed: int = 0, dtype: torch.dtype = torch.float64, std: float = 0.5) -> Classifier | Tagger:
    torch.manual_seed(seed)
    reads: Reads = "mean_max" if kind.read == "mean_max" else "last_state"
    task = "token-classification" if kind.read == "tagger" else "text-classification"
    features = (Feature("token", 9, INPUT),)
    network = build(Architecture(task, kind.cell, features, UNITS, kind.layers, kind.directions, OUTPUTS, reads))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return network.to(dtype).eval().requires_grad_(False)


def inputs(*lengths: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """x [batch, time, input] and lengths; padding is not zero, so that reading it shows."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(len(lengths), max(lengths), INPUT, generator=rng, dtype=torch.float64)
    return x.to(dtype), torch.tensor(lengths)


def recorded(network: Classifier | Tagger, x: torch.Tensor, lengths: torch.Tensor) -> tuple[Pass, Activations]:
    run: Pass = network.encoder(x, lengths)
    return run, network.encoder.activations(run)


def logit(network: Classifier | Tagger, x: torch.Tensor, target: int, timestep: int | None) -> torch.Tensor:
    """One text's logit by the library's own forward pass: x [time, input]."""
    run: Pass = network.encoder(x[None], torch.tensor([len(x)]))
    if isinstance(network, Classifier):
        return network.logits(run)[0, target]
    assert timestep is not None
    return network.emissions(run)[0, timestep, target]


Change = Callable[[str, int, str, int, torch.Tensor], torch.Tensor]


def step_loop(network: Classifier | Tagger, x: torch.Tensor, change: Change | None = None) -> Array:
    """Logits [label] or [time, tag] of one text, one step after the other.

    change(name, layer, direction, timestep, value [unit]) gives what stands in the value's place.
    """
    states = [torch.from_numpy(part) for part in step_states(network, x, change)]
    x = torch.cat(states, dim=1)
    head = lambda read: (network.head.weight.double() @ read + network.head.bias.double()).numpy()  # noqa: E731
    if isinstance(network, Tagger):
        return np.stack([head(state) for state in x])
    if network.architecture.reads == "mean_max":
        return np.asarray(head(torch.cat([x.mean(0), x.max(0).values])))
    return np.asarray(head(torch.cat([s[-1 if d == 0 else 0] for d, s in enumerate(states)])))


def step_states(network: Classifier | Tagger, x: torch.Tensor, change: Change | None = None) -> list[Array]:
    """The top layer's states, [time, unit] of each direction, in reading order; change as in `step_loop`."""
    changed = change or (lambda name, layer, direction, t, value: value)
    encoder = network.encoder
    for layer in range(len(encoder.layers)):
        states = []
        for direction in encoder.directions:
            w = weights_of(network, layer, direction)
            h = c = torch.zeros(w.units, dtype=torch.float64)
            hidden = {}
            for t in range(len(x)) if direction == "forward" else range(len(x) - 1, -1, -1):
                where = (layer, direction, t)
                if encoder.cell == "rnn":
                    h = changed("hidden_state", *where, rnn_step(x[t], h, w))
                else:
                    step = lstm_step(x[t], (h, c), w)
                    i = changed("input_gate", *where, step.input_gate)
                    f = changed("forget_gate", *where, step.forget_gate)
                    g = changed("cell_gate", *where, step.cell_gate)
                    o = changed("output_gate", *where, step.output_gate)
                    c = changed("cell_state", *where, f * c + i * g)
                    h = changed("hidden_state", *where, o * torch.tanh(c))
                hidden[t] = h
            states.append(torch.stack([hidden[t] for t in range(len(x))]))
        x = torch.cat(states, dim=1)
    return [state.numpy() for state in states]


def subject_of(
    network: Classifier | Tagger,
    x: torch.Tensor,
    index: int = 0,
    timestep: int | None = None,
    runner: Runner | None = None,
) -> Subject:
    """One logit of the text x [time, input], whose tokens' embeddings become the rows of the network's table."""
    table = torch.cat([torch.zeros_like(x[:1]), x])
    network.embedding.tables["token"] = torch.nn.Parameter(table, requires_grad=False)
    places = range(len(x))
    tokens = Tokens("x" * len(x), places, range(1, len(x) + 1), ["x"] * len(x))
    ids: TextIds = {"token": np.arange(1, len(x) + 1)[:, None]}
    runs = TextRuns(runner or TorchRunner(network, torch.device("cpu")), tokens, ids)
    return Subject(runs, Output(index, timestep))


def logit_of_kept(subject: Subject, kept: Sequence[int]) -> float:
    """The logit of the text with only these tokens left, one step after the other; a tagger is read at the gap."""
    network, output = subject.network, subject.output
    bias = float(network.head.bias[output.index])
    if not kept:
        return bias
    x = torch.from_numpy(subject.runs.runner.embedded(subject.runs.ids))[list(kept)].double()
    if output.timestep is None:
        return float(step_loop(network, x)[output.index])
    if output.timestep in kept:
        return float(step_loop(network, x)[list(kept).index(output.timestep)][output.index])
    before = sum(t < output.timestep for t in kept)
    states = step_states(network, x)
    zero = np.zeros(len(states[0][0]))
    read = [states[0][before - 1] if before else zero]
    if len(states) > 1:
        read.append(states[1][before] if before < len(kept) else zero)
    return float(network.head.weight.double().numpy()[output.index] @ np.concatenate(read) + bias)
