r"""A network on the CPU by the fused kernel: `FusedRunner` is a `Runner` that records gates at almost no cost.

x_t is made of table rows, so W_ih x_t + b of layer 0 is a sum over features. For a feature with one id a token, the
part W_ih,f E_f[v] can be computed once for every v and then looked up (`models.runtime.cpu.tables` chooses the
features); the other features take one product with packed weights. Later layers and the head are such products too.

The kernel writes states and gates once, into pooled memory: new memory pages cost more than computing the gates.

In bfloat16 the products with W_hh, and those with W_ih that are not looked up, read rounded weights; tables, head and
all sums stay float32.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from sys import getrefcount
from typing import NamedTuple, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...network.embedding import Embedding
from ...network.network import Classifier, Tagger
from ...recurrence.cells import GATES, TENSORS
from ...recurrence.certificate import Values
from ...recurrence.encoder import Pass
from ...recurrence.layer import Direction, LayerActivations, Recurrence, State
from ...text.features import FeatureIds, FeatureKind, TextIds, batch_ids
from ..runner import Activations, Recording
from .kernel import Kernel, LookUp, Precision

_RECORDED = {  # number of gates -> tensors that the kernel records, in its order
    4: (*GATES, "cell_state", *(f"{name}_preactivation" for name in GATES)),
    1: ("hidden_state_preactivation",),
}
_POOLED_FLOATS = 1 << 24  # buffers are kept for reuse up to this total: 64 MiB
_REFERENCES_WHEN_FREE = 3  # to a free buffer: the pool's, the loop variable's, and getrefcount's argument
_ALONE = torch.zeros(1, dtype=torch.int64)  # the order of a batch of one text
_WORTH_A_THREAD = 10_000_000  # multiplications of one direction from which a second thread pays off


class Buffers:
    """A pool of float32 buffers; a buffer is reused once no tensor views it."""

    def __init__(self) -> None:
        self._pools: dict[int, list[Values]] = defaultdict(list)
        self._pooled_floats = 0

    def take(self, *shape: int) -> Tensor:
        """An uninitialised float32 tensor."""
        count = math.prod(shape)
        size = 1 << max(12, (count - 1).bit_length())
        return torch.from_numpy(self._free(size)[:count].reshape(shape))

    def _free(self, size: int) -> Values:
        """A buffer that only the pool refers to: every tensor that views a buffer holds a reference to it."""
        pool = self._pools[size]
        for buffer in pool:
            if getrefcount(buffer) == _REFERENCES_WHEN_FREE:
                return buffer
        buffer = np.empty(size, np.float32)
        if self._pooled_floats + size <= _POOLED_FLOATS:
            self._pooled_floats += size
            pool.append(buffer)
        return buffer


class Inputs(Sequence[Tensor]):
    """The input of each layer, [batch, time, input]; x_t is computed on first access, since look-ups do not need it."""

    def __init__(self, embed: Callable[[], Tensor], later_layers: Sequence[Tensor]) -> None:
        self._embed, self._later_layers = embed, tuple(later_layers)
        self._x: Tensor | None = None

    def __len__(self) -> int:
        return 1 + len(self._later_layers)

    @overload
    def __getitem__(self, layer: int) -> Tensor: ...
    @overload
    def __getitem__(self, layer: slice) -> Sequence[Tensor]: ...
    def __getitem__(self, layer: int | slice) -> Tensor | Sequence[Tensor]:
        if isinstance(layer, slice):
            return [self[n] for n in range(len(self))[layer]]
        if layer > 0:
            return self._later_layers[layer - 1]
        if self._x is None:
            self._x = self._embed()
        return self._x


class Incoming(NamedTuple):
    """How to compute W_ih x_t + b of one recurrence: by a product, by a look-up, or as the sum of both.

    product: a function that fills packed rows [batch * time, packed].
    """

    product: Callable[[Tensor], None] | None
    look_up: LookUp | None = None


class Ragged(NamedTuple):
    """The texts of one layer's run. order: from the longest on, int64 [batch]; initial: the state before."""

    lengths: Tensor
    order: Tensor
    initial: State | None


class FusedLayer:
    """One recurrence with packed weights."""

    def __init__(self, kernel: Kernel, recurrence: Recurrence, precision: Precision) -> None:
        self.kernel, self.gates, self.precision = kernel, 4 if recurrence.cell == "lstm" else 1, precision
        self.units, self.reverse = recurrence.units, recurrence.direction == "reverse"
        self.weights = recurrence.weights
        self.weight_hh = self.pack(self.weights.weight_hh)
        self.bias = kernel.pack_row(self.weights.bias_ih + self.weights.bias_hh, self.gates)
        self.packed = kernel.packed(self.gates, self.units)

    def pack(self, weight: Tensor) -> Tensor:
        """weight [gates * unit, depth] packed for the kernel, in this recurrence's precision."""
        return self.kernel.pack(weight, self.gates, self.precision)

    def run(
        self, incoming: Incoming, pre: Tensor | None, ragged: Ragged, out: Tensor, record: Tensor | None
    ) -> LayerActivations:
        """Fills `out`; returns the recorded tensors by name.

        pre [batch * time, packed]: memory for the product, None without one; out [batch, time, unit]; record [tensor,
        batch, time, unit]: memory for the tensors to record.
        """
        if incoming.product and pre is not None:
            incoming.product(pre)
        self.kernel.recur(
            self.gates,
            self.reverse,
            ragged.lengths,
            ragged.order,
            self.weight_hh,
            pre,
            out,
            record,
            ragged.initial,
            look_up=incoming.look_up,
        )
        if record is None:
            return {"hidden_state": out}
        return {"hidden_state": out, **dict(zip(_RECORDED[self.gates], record.unbind(0), strict=False))}

    def recurrence_error(self, x: Values, activations: Mapping[str, Values], timesteps: NDArray[np.int64]) -> float:
        """As `models.recurrence.certificate.recurrence_error`."""
        recorded = [activations[name] for name in TENSORS["lstm" if self.gates == 4 else "rnn"]]
        return self.kernel.check(self.gates, self.reverse, self.weights, x, recorded, timesteps)

    def recorded_count(self, recording: Recording) -> int:
        """How many tensors besides h_t are recorded."""
        if self.gates == 4:
            return {"nothing": 0, "gates": 5, "everything": 9}[recording]
        return int(recording == "everything")


class InputProjection:
    """W_ih x_t + b of layer 0: a look-up for some features, one product for the others."""

    def __init__(self, layer: FusedLayer, embedding: Embedding) -> None:
        self.layer, self.embedding = layer, embedding
        self.tables: dict[FeatureKind, Tensor] = {}
        self._pack_projected()

    def tabulate(self, kind: FeatureKind) -> None:
        """Look this feature's part up from now on; the feature must have one id a token."""
        layer, rows = self.layer, self.embedding.tables[kind]
        weights = layer.kernel.pack(self._columns([kind]), layer.gates)
        table = torch.empty(rows.shape[0], layer.packed)
        layer.kernel.project(rows.contiguous(), weights, torch.zeros(layer.packed), table)
        self.tables[kind] = table
        self._pack_projected()

    def _pack_projected(self) -> None:
        self.projected = [f.kind for f in self.embedding.features if f.kind not in self.tables]
        self.weights = self.layer.pack(self._columns(self.projected)) if self.projected else None

    def _columns(self, kinds: Sequence[FeatureKind]) -> Tensor:
        """The columns of W_ih that multiply these features."""
        features = self.embedding.features
        parts = torch.split(self.layer.weights.weight_ih, [f.dimension for f in features], dim=1)
        columns_by_kind = {f.kind: part for f, part in zip(features, parts, strict=True)}
        return torch.cat([columns_by_kind[kind] for kind in kinds], dim=1)

    def incoming(self, ids: FeatureIds, x: Tensor | None, rows: Tensor | None) -> Incoming:
        """x [batch * time, input]: x_t of the features not looked up, None without any; rows: its rows with a token."""
        kernel, bias, weights = self.layer.kernel, self.layer.bias, self.weights
        look_up = None
        if self.tables:
            looked_up = [ids[kind].reshape(-1) for kind in self.tables]
            look_up = LookUp(list(self.tables.values()), looked_up, bias)
        if x is None or weights is None:
            return Incoming(None, look_up)
        return Incoming(lambda pre: kernel.project(x, weights, bias, pre, rows), look_up)


class Padded(NamedTuple):
    """The shape of a padded batch, and the state of each layer before it, None: zero.

    lengths int64 [batch]; rows: those of [batch * time] with a token, None: all.
    """

    batch: int
    time: int
    lengths: Tensor
    rows: Tensor | None
    initial: Sequence[State] | None = None


class FusedRunner:
    """Runs batches of one network. A text's results are bitwise independent of its batch."""

    def __init__(
        self, network: Classifier | Tagger, kernel: Kernel, precision: Precision = "float32", threads: int = 1
    ) -> None:
        """threads: with two or more, the directions of large batches run in parallel."""
        self.network, self._kernel, self.precision = network, kernel, precision
        encoder = network.encoder
        self.directions, self.units = encoder.directions, encoder.units
        self.layers = [
            [FusedLayer(kernel, encoder.recurrence(n, d), precision) for d in encoder.directions]
            for n in range(len(encoder.layers))
        ]
        self.inputs = [InputProjection(layer, network.embedding) for layer in self.layers[0]]
        self.projections = [[layer.pack(layer.weights.weight_ih) for layer in layers] for layers in self.layers[1:]]
        self.packed_head = kernel.pack(network.head.weight, 1), kernel.pack_row(network.head.bias, 1)
        self._tables = {f.kind: network.embedding.tables[f.kind].detach() for f in network.embedding.features}
        self.buffers = Buffers()
        self._second_thread = ThreadPoolExecutor(1, "direction") if threads > 1 and len(self.directions) > 1 else None

    @property
    def kernel(self) -> str:
        return f"fused-{self._kernel.name}"

    def tabulate(self, kind: FeatureKind) -> None:
        """Look this feature's part of layer 0 up from now on, in every direction."""
        for projection in self.inputs:
            projection.tabulate(kind)

    def run(
        self, ids: FeatureIds, lengths: Tensor, recording: Recording, initial: Sequence[State] | None = None
    ) -> tuple[Pass, Activations | None]:
        batch, time = next(iter(ids.values())).shape[:2]
        # A look-up needs no rows.
        rows = _token_rows(lengths, time) if self.inputs[0].projected or len(self.layers) > 1 else None
        padded = Padded(batch, time, lengths, rows, initial)
        states, later_inputs, activations = self._layers(self._incoming_first(ids, rows), padded, recording)
        inputs = Inputs(lambda: self._embedded(ids, list(self._tables)).view(batch, time, -1), later_inputs)
        return Pass(inputs, states, lengths, initial), activations

    def run_inputs(self, x: Tensor, lengths: Tensor, recording: Recording) -> tuple[Pass, Activations | None]:
        """W_ih x_t is one product here, with float32 weights in either precision."""
        batch, time = x.shape[:2]
        padded = Padded(batch, time, lengths, _token_rows(lengths, time))
        incoming = self._products(self._input_weights, self.layers[0], x.reshape(batch * time, -1), padded.rows)
        states, later_inputs, activations = self._layers(incoming, padded, recording)
        return Pass(Inputs(lambda: x, later_inputs), states, lengths), activations

    @cached_property
    def _input_weights(self) -> list[Tensor]:
        """W_ih of layer 0 over all of x_t, packed, for each direction."""
        return [self._kernel.pack(layer.weights.weight_ih, layer.gates) for layer in self.layers[0]]

    def _layers(
        self, incoming: list[Incoming], padded: Padded, recording: Recording
    ) -> tuple[tuple[tuple[Tensor, ...], ...], list[Tensor], Activations | None]:
        """Hidden states [layer][direction], the inputs of every layer except layer 0, and the recorded activations."""
        batch, time, lengths = padded.batch, padded.time, padded.lengths
        order = torch.from_numpy(np.argsort(-lengths.numpy(), kind="stable")) if batch > 1 else _ALONE
        later_inputs: list[Tensor] = []
        states: list[tuple[Tensor, ...]] = []
        activations: Activations = []
        for n, layers in enumerate(self.layers):
            ragged = Ragged(lengths, order, padded.initial[n] if padded.initial else None)
            out = self.buffers.take(batch, time, len(layers) * self.units)
            halves = torch.split(out, self.units, dim=2) if len(layers) > 1 else (out,)
            runs = [
                self._direction(layer, layer_incoming, ragged, half, recording)
                for layer, layer_incoming, half in zip(layers, incoming, halves, strict=True)
            ]
            activations.append(self._results(runs, batch * time * layers[0].weights.weight_hh.numel()))
            states.append(halves)
            if n + 1 < len(self.layers):
                later_inputs.append(out)
                x = out.view(batch * time, -1)
                incoming = self._products(self.projections[n], self.layers[n + 1], x, padded.rows)
        return tuple(states), later_inputs, None if recording == "nothing" else activations

    def _direction(
        self, layer: FusedLayer, incoming: Incoming, ragged: Ragged, out: Tensor, recording: Recording
    ) -> Callable[[], LayerActivations]:
        """Takes the memory for one layer in one direction; returns the call that runs it."""
        batch, time, units = out.shape
        pre = self.buffers.take(batch * time, layer.packed) if incoming.product else None
        recorded = layer.recorded_count(recording)
        record = self.buffers.take(recorded, batch, time, units) if recorded else None
        return lambda: layer.run(incoming, pre, ragged, out, record)

    def _results(self, runs: list[Callable[[], LayerActivations]], multiplications: int) -> list[LayerActivations]:
        """The results of all directions, run in parallel where that pays off; multiplications: of one direction."""
        if self._second_thread is None or multiplications < _WORTH_A_THREAD:
            return [run() for run in runs]
        others = [self._second_thread.submit(run) for run in runs[1:]]
        return [runs[0](), *(other.result() for other in others)]

    def embedded(self, ids: TextIds) -> Values:
        if all(bags.shape[1] == 1 for bags in ids.values()):  # one id a token: plain table rows
            return np.concatenate([self._tables[kind].numpy()[bags[:, 0]] for kind, bags in ids.items()], axis=1)
        rows: Values = self._embedded(batch_ids([ids]), list(self._tables)).numpy()
        return rows

    def recurrence_error(
        self,
        layer: int,
        direction: Direction,
        x: Values,
        activations: Mapping[str, Values],
        timesteps: NDArray[np.int64],
    ) -> float:
        return self.layers[layer][self.directions.index(direction)].recurrence_error(x, activations, timesteps)

    def outputs(self, run: Pass) -> Tensor:
        """The head's output: logits [batch, label], or emissions [batch, time, tag]."""
        if isinstance(self.network, Tagger):
            read = run.top.reshape(-1, run.top.shape[2])
        elif self.network.architecture.reads == "mean_max":
            top = run.top.contiguous()
            read = self.buffers.take(top.shape[0], 2 * top.shape[2])
            self._kernel.pool(top, run.lengths, read)
        else:
            read = _last_state(run)
        out = self.head(read)
        return out.view(*run.top.shape[:2], -1) if isinstance(self.network, Tagger) else out

    def head(self, read: Tensor) -> Tensor:
        weights, bias = self.packed_head
        out = self.buffers.take(read.shape[0], bias.shape[0])
        self._kernel.project(read, weights, bias, out)
        return out[:, : self.network.architecture.outputs]

    def _incoming_first(self, ids: FeatureIds, rows: Tensor | None) -> list[Incoming]:
        """W_ih x_t + b of layer 0, for each direction."""
        kinds = self.inputs[0].projected
        x = self._embedded(ids, kinds) if kinds else None
        return [projection.incoming(ids, x, rows) for projection in self.inputs]

    def _embedded(self, ids: FeatureIds, kinds: Sequence[FeatureKind]) -> Tensor:
        """x_t of these features: [batch * time, input]."""
        tables = [self._tables[kind] for kind in kinds]
        bags = [ids[kind].flatten(0, 1) for kind in kinds]
        out = self.buffers.take(bags[0].shape[0], sum(table.shape[1] for table in tables))
        first = 0
        for table, bag in zip(tables, bags, strict=True):
            self._kernel.bag(table, bag, out[:, first:])
            first += table.shape[1]
        return out

    def _products(
        self, weights: Sequence[Tensor], layers: Sequence[FusedLayer], x: Tensor, rows: Tensor | None
    ) -> list[Incoming]:
        """W_ih x + b of one layer by products, for each direction. x [batch * time, input]."""

        def product(packed: Tensor, bias: Tensor) -> Callable[[Tensor], None]:
            return lambda pre: self._kernel.project(x, packed, bias, pre, rows)

        return [Incoming(product(packed, layer.bias)) for packed, layer in zip(weights, layers, strict=True)]


def _last_state(run: Pass) -> Tensor:
    """As `network.last_state`, by numpy: a third of torch's time on so few numbers."""
    forward, *reverse = run.hidden_states[-1]
    last = forward.numpy()[np.arange(run.lengths.shape[0]), run.lengths.numpy() - 1]
    return torch.from_numpy(np.concatenate([last, *(h.numpy()[:, 0] for h in reverse)], axis=1) if reverse else last)


def _token_rows(lengths: Tensor, time: int) -> Tensor | None:
    """The rows text * time + t that hold a token; None where all do."""
    if int(lengths.min()) == time:
        return None
    inside = torch.arange(time) < lengths[:, None]
    return inside.view(-1).nonzero()[:, 0]
