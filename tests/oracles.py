"""Slow and simple references in float64, which any reader can check."""

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from models.network.network import Classifier, Tagger
from models.recurrence.cells import CellWeights, lstm_step, rnn_step
from models.text.features import TextIds

Array = NDArray[np.float64]


def embed(network: Classifier | Tagger, ids: TextIds) -> torch.Tensor:
    """x_t, one token and one feature at a time: the mean of the rows that are not padding."""
    rows = []
    for t in range(len(ids["token"])):
        parts = []
        for feature in network.architecture.features:
            table = network.embedding.tables[feature.kind].detach().double()
            ids_of_token = [int(i) for i in ids[feature.kind][t] if i != 0]
            parts.append(torch.stack([table[i] for i in ids_of_token]).mean(0))
        rows.append(torch.cat(parts))
    return torch.stack(rows)


def weights_of(network: Classifier | Tagger, layer: int, direction: str) -> CellWeights:
    w = network.encoder.recurrence(layer, direction).weights  # type: ignore[arg-type]
    return CellWeights(*(x.detach().double() for x in (w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh)))


def step_loop(network: Classifier | Tagger, ids: TextIds) -> dict[str, Array]:
    """Every state and gate of one text, step by step: name -> [layer, direction, timestep, unit]."""
    x, encoder = embed(network, ids), network.encoder
    out: dict[str, list[list[torch.Tensor]]] = {name: [] for name in encoder.tensors}
    for layer in range(len(encoder.layers)):
        kept = {name: [] for name in encoder.tensors}
        for direction in encoder.directions:
            steps = _one_direction(encoder.cell, x, weights_of(network, layer, direction), direction)
            for name in kept:
                kept[name].append(steps[name])
        x = torch.cat(kept["hidden_state"], dim=1)
        for name in out:
            out[name].append(torch.stack(kept[name]))
    return {name: torch.stack(layers).numpy() for name, layers in out.items()}


def _one_direction(cell: str, x: torch.Tensor, w: CellWeights, direction: str) -> dict[str, torch.Tensor]:
    time = range(len(x)) if direction == "forward" else range(len(x) - 1, -1, -1)
    h = c = torch.zeros(1, w.units, dtype=torch.float64)
    steps: dict[int, dict[str, torch.Tensor]] = {}
    for t in time:
        if cell == "rnn":
            h = rnn_step(x[t : t + 1], h, w)
            steps[t] = {"hidden_state": h}
        else:
            step = lstm_step(x[t : t + 1], (h, c), w)
            h, c = step.hidden_state, step.cell_state
            steps[t] = step._asdict()
    return {name: torch.cat([steps[t][name] for t in range(len(x))]) for name in steps[0]}


def logits(network: Classifier | Tagger, ids: TextIds) -> Array:
    """A classifier's logits [label], or a tagger's emissions [time, tag]."""
    top = step_loop(network, ids)["hidden_state"][-1]  # [direction, time, unit]
    v, b = (p.detach().double().numpy() for p in (network.head.weight, network.head.bias))
    if isinstance(network, Tagger):
        return np.concatenate(list(top), axis=1) @ v.T + b
    if network.architecture.reads == "mean_max":
        states = np.concatenate(list(top), axis=1)
        read = np.concatenate([states.mean(0), states.max(0)])
    else:
        read = np.concatenate([top[0, -1], *(top[1:, 0])])
    return np.asarray(v @ read + b)


def all_paths(
    emissions: Array, transitions: Array, start: Array, end: Array
) -> Iterator[tuple[tuple[int, ...], float]]:
    """Every tag path of one text with its score."""
    time, tags = emissions.shape
    for path in itertools.product(range(tags), repeat=time):
        score = start[path[0]] + end[path[-1]] + sum(emissions[t, k] for t, k in enumerate(path))
        yield path, float(score + sum(transitions[a, b] for a, b in itertools.pairwise(path)))
