"""What a batch adds to each row: Predict's answers by name, and Inspect's reductions as ``tensor.field``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..errors import ActivationsUnavailable, OptionError
from ..inference.inspection import ALIASES, Inspection, Plan, Reduction, Shape, plan
from ..inference.prediction import Prediction
from ..network.network import Task
from ..recurrence.cells import TENSORS

Kind = Literal["text", "count", "number", "labels", "entities", "values"]

ERROR, ERROR_LINE = "error", "error_line"  # of a row that could not be answered


@dataclass(frozen=True)
class Column:
    """One value of each prediction. values: float64 [layer][direction][unit], of ``norm`` [layer][direction][timestep].

    rounded: in JSON lines, as Inspect rounds reductions.
    """

    name: str
    kind: Kind
    value: Callable[[Prediction], Any]

    @property
    def rounded(self) -> bool:
        return self.kind == "values"


@dataclass(frozen=True)
class Answer:
    """One of Predict's answers. task None: of every model."""

    task: Task | None
    kind: Kind
    value: Callable[[Prediction], Any]


def _labels(p: Prediction) -> list[dict[str, Any]]:
    return [{"label": label, "score": score} for label, score in p.scores or ()]


def _entities(p: Prediction) -> list[dict[str, Any]]:
    return [
        {"label": e.label, "text": e.text, "start": e.start, "end": e.end, "score": e.score} for e in p.entities or ()
    ]


ANSWERS: dict[str, Answer] = {
    "label": Answer("text-classification", "text", lambda p: p.scores[0][0] if p.scores else None),
    "score": Answer("text-classification", "number", lambda p: p.scores[0][1] if p.scores else None),
    "labels": Answer("text-classification", "labels", _labels),
    "entities": Answer("token-classification", "entities", _entities),
    "tokens": Answer(None, "count", lambda p: len(p.tokens)),
    "known_fraction": Answer(None, "number", lambda p: round(p.known_fraction, 4)),
}
DEFAULTS: dict[Task, tuple[str, ...]] = {
    "text-classification": ("label", "score"),
    "token-classification": ("entities",),
}
# the reductions of Inspect, and the fields that each gives
FIELDS: dict[Reduction, tuple[str, ...]] = {
    "mean": ("mean",),
    "saturation": ("fraction_low", "fraction_high"),
    "norm": ("norm",),
    "half_life": ("half_life_tokens",),
    "phases": ("hold", "accumulate", "overwrite", "erase"),
}
_REDUCTIONS: dict[str, Reduction] = {field: kind for kind, fields in FIELDS.items() for field in fields}


@dataclass(frozen=True)
class Columns:
    """The columns in the order asked, and what has to be inspected for them."""

    columns: tuple[Column, ...]
    inspection_plan: Plan | None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def columns_of(asked: Sequence[str], shape: Shape) -> Columns:
    """The columns of these names, the task's `DEFAULTS` where none is asked for.

    ``forget_gate.saturation`` gives its two fields, ``phases`` its four.
    Raises: OptionError, ActivationsUnavailable: a name that this model has no answer for, or one that stands twice.
    """
    answers = {name for name, answer in ANSWERS.items() if answer.task in (None, shape.task)}
    columns: list[Column] = []
    reduced: dict[str, set[Reduction]] = {}
    for name in asked or DEFAULTS[shape.task]:
        if name in answers:
            columns.append(Column(name, ANSWERS[name].kind, ANSWERS[name].value))
            continue
        tensor, fields = _reduction(name, shape, sorted(answers))
        columns += [Column(f"{tensor}.{field}", "values", _reduced(tensor, field)) for field in fields]
        reduced.setdefault(tensor, set()).update(_REDUCTIONS[field] for field in fields)
    names = [column.name for column in columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise OptionError(f"{twice[0]} is asked for twice: name each column once")
    return Columns(tuple(columns), _plan(reduced, shape))


def _reduction(name: str, shape: Shape, answers: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The tensor, or ``phases``, and the fields that a name stands for."""
    tensor, _, field = name.partition(".")
    tensor = ALIASES.get(tensor, tensor)
    available = TENSORS[shape.cell]
    if tensor == "phases":
        fields = (field,) if field else FIELDS["phases"]
        allowed = FIELDS["phases"]
    elif not field:
        raise OptionError(
            f"there is no column {name[:64]!r} of this model: allowed are {', '.join(answers)}, a tensor with a "
            f"reduction, as in {available[-1]}.mean, and phases of an LSTM"
        )
    elif tensor not in available:
        raise ActivationsUnavailable(tensor[:64], available)
    else:
        allowed = _fields(tensor)
        fields = next((fields for kind, fields in FIELDS.items() if kind == field and fields[0] in allowed), (field,))
    if unknown := [f for f in fields if f not in allowed]:
        raise OptionError(f"{tensor} has no reduction {unknown[0][:64]!r}: it has {', '.join(allowed)}")
    return tensor, fields


def _fields(tensor: str) -> tuple[str, ...]:
    """The fields that reductions of one tensor have; `models.analysis.reductions` says why some lack one."""
    kinds: list[Reduction] = ["mean", "norm"]
    kinds += ["saturation"] if tensor != "cell_state" else []
    kinds += ["half_life"] if tensor == "forget_gate" else []
    return tuple(field for kind in kinds for field in FIELDS[kind])


def _plan(reduced: dict[str, set[Reduction]], shape: Shape) -> Plan | None:
    """The plan of an inspection that keeps the reductions and no tensor."""
    if not reduced:
        return None
    kinds = tuple(kind for kind in FIELDS if any(kind in kinds for kinds in reduced.values()))
    tensors = tuple(tensor for tensor in TENSORS[shape.cell] if tensor in reduced)
    checked = plan(Inspection(tensors or TENSORS[shape.cell][:1], reduce=kinds), shape)
    return replace(checked, tensors=(), reduced=tensors)


def _reduced(tensor: str, field: str) -> Callable[[Prediction], Any]:
    def value(p: Prediction) -> Any:
        assert p.inside is not None
        assert p.inside.reductions is not None
        return np.ascontiguousarray(p.inside.reductions[tensor][field])

    return value
