"""What the gates do at negations and at entity borders: means over units, at those tokens and at the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.inference.inspection import Inspection
from models.inference.prediction import Prediction
from models.inference.predictor import Predictor

Marks = Callable[[Prediction], list[str | None]]  # the kind of place that each token is, or None to leave it out
SHOWN = ("forget_gate", "input_gate", "output_gate", "belt")


@dataclass(frozen=True)
class Places:
    """values: of `SHOWN` by kind of place; belt is ||c_t - c_{t-1}|| / sqrt(units), how far a step moves the belt."""

    kinds: dict[str, dict[str, float]]
    counts: dict[str, int]


def at_places(predictor: Predictor, texts: Sequence[str], marks: Marks) -> Places:
    """Means over all tokens of a kind and all units of layer 0, forward; the first token of a text is left out."""
    found: dict[str, list[dict[str, float]]] = {}
    for said in predictor.predict(texts, Inspection()):
        assert said.inside is not None
        values = {name: v[0, 0] for name, v in said.inside.tensors.items()}
        for t, kind in enumerate(marks(said)):
            if t and kind:
                found.setdefault(kind, []).append(_step(values, t))
    kinds = {kind: {name: float(np.mean([s[name] for s in steps])) for name in SHOWN} for kind, steps in found.items()}
    return Places(kinds, {kind: len(steps) for kind, steps in found.items()})


def negations(words: Sequence[str]) -> Marks:
    """A negation, the token after it, any other."""

    def mark(said: Prediction) -> list[str | None]:
        there = [token.form in words for token in said.tokens]
        after = [False, *there[:-1]]
        return ["negation" if n else "after one" if a else "other" for n, a in zip(there, after, strict=True)]

    return mark


def borders(said: Prediction) -> list[str | None]:
    """An entity's first token, its further ones, the token after it, any other; entities as the model finds them."""
    kinds: list[str | None] = ["outside"] * len(said.tokens)
    for entity in said.entities or ():
        inside = [t for t, token in enumerate(said.tokens) if entity.start <= token.start < entity.end]
        for t in inside:
            kinds[t] = "first" if t == inside[0] else "inside"
        if inside[-1] + 1 < len(kinds) and kinds[inside[-1] + 1] == "outside":
            kinds[inside[-1] + 1] = "just after"
    return kinds


def _step(values: dict[str, NDArray[np.float32]], t: int) -> dict[str, float]:
    moved = values["cell_state"][t] - values["cell_state"][t - 1]
    gates = {name: float(values[name][t].mean()) for name in SHOWN if name != "belt"}
    return {**gates, "belt": float(np.sqrt(np.mean(np.square(moved))))}
