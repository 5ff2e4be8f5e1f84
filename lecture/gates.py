"""What the gates do at negations and at entity borders: means over units at these tokens and at all others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.inference.inspection import Inspection
from models.inference.prediction import Prediction
from models.inference.predictor import Predictor

Marks = Callable[[Prediction], list[str | None]]  # each token's kind of place; None: left out
MEASURED = ("forget_gate", "input_gate", "output_gate", "belt")


@dataclass(frozen=True)
class Places:
    """values: of `MEASURED` by kind of place; belt is ||c_t - c_{t-1}|| / sqrt(units): how far a step moves c."""

    kinds: dict[str, dict[str, float]]
    counts: dict[str, int]


def at_places(predictor: Predictor, texts: Sequence[str], marks: Marks) -> Places:
    """Means over all tokens of a kind and all units of layer 0, forward; the first token of a text is left out."""
    steps_by_kind: dict[str, list[dict[str, float]]] = {}
    for prediction in predictor.predict(texts, Inspection()):
        assert prediction.inside is not None
        values = {name: v[0, 0] for name, v in prediction.inside.tensors.items()}
        for t, kind in enumerate(marks(prediction)):
            if t and kind:
                steps_by_kind.setdefault(kind, []).append(_step(values, t))
    means = {
        kind: {name: float(np.mean([step[name] for step in steps])) for name in MEASURED}
        for kind, steps in steps_by_kind.items()
    }
    return Places(means, {kind: len(steps) for kind, steps in steps_by_kind.items()})


def negations(words: Sequence[str]) -> Marks:
    """Marks negations, tokens after one, and all others."""

    def mark(prediction: Prediction) -> list[str | None]:
        is_negation = [token.form in words for token in prediction.tokens]
        is_after = [False, *is_negation[:-1]]
        return ["negation" if n else "after one" if a else "other" for n, a in zip(is_negation, is_after, strict=True)]

    return mark


def borders(prediction: Prediction) -> list[str | None]:
    """Marks the first token of a predicted entity, its other tokens, the token after it, and all others."""
    kinds: list[str | None] = ["outside"] * len(prediction.tokens)
    for entity in prediction.entities or ():
        inside = [t for t, token in enumerate(prediction.tokens) if entity.start <= token.start < entity.end]
        for t in inside:
            kinds[t] = "first" if t == inside[0] else "inside"
        if inside[-1] + 1 < len(kinds) and kinds[inside[-1] + 1] == "outside":
            kinds[inside[-1] + 1] = "just after"
    return kinds


def _step(values: dict[str, NDArray[np.float32]], t: int) -> dict[str, float]:
    change = values["cell_state"][t] - values["cell_state"][t - 1]
    gates = {name: float(values[name][t].mean()) for name in MEASURED if name != "belt"}
    return {**gates, "belt": float(np.sqrt(np.mean(np.square(change))))}
