"""What a caller wants to see of a pass, and what that selects of a given text.

Nothing is clamped: every index must exist and stands once. Only a timestep slice may reach past a text's end, for a
batch of uneven texts needs it, and then the answer says what was selected.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import ActivationsUnavailable, OptionError, SelectionError
from ..network.network import Task
from ..recurrence.cells import PREACTIVATED, TENSORS, Cell
from ..recurrence.layer import Direction

Reduction = Literal["saturation", "mean", "norm", "half_life", "phases"]
ALIASES = {"candidate": "cell_gate"}


@dataclass(frozen=True)
class Timesteps:
    """A slice; stop None is the text's end."""

    start: int = 0
    stop: int | None = None
    stride: int = 1

    def of(self, length: int) -> tuple[int, ...]:
        """Raises: SelectionError where the slice is not one or begins past the text's end."""
        if self.start < 0 or self.stride < 1 or (self.stop is not None and self.stop <= self.start):
            raise SelectionError(
                f"timesteps is start {self.start}, stop {self.stop}, stride {self.stride}: "
                "start is 0 or more, stop above start, stride 1 or more"
            )
        if self.start >= length:
            raise SelectionError(
                f"timesteps begins at {self.start}, but a text has {length} tokens: at most {length - 1}"
            )
        return tuple(range(self.start, length if self.stop is None else min(self.stop, length), self.stride))


@dataclass(frozen=True)
class Select:
    """None selects all there is; lists keep the order asked."""

    layers: tuple[int, ...] | None = None
    directions: tuple[str, ...] | None = None
    timesteps: Timesteps = field(default_factory=Timesteps)
    units: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Inspection:
    """The options of Inspect but for how the answer is written. tensors None: all that the cell has."""

    tensors: tuple[str, ...] | None = None
    preactivations: bool = False
    select: Select = field(default_factory=Select)
    reduce: tuple[Reduction, ...] = ()
    prefix_predictions: bool = False
    embedding: bool = False
    token_scores: bool = False


@dataclass(frozen=True)
class Shape:
    """What of a model decides whether an `Inspection` fits it."""

    task: Task
    cell: Cell
    layers: int
    directions: tuple[Direction, ...]
    units: int


@dataclass(frozen=True)
class Selection:
    """An `Inspection` made definite for one text."""

    layers: tuple[int, ...]
    directions: tuple[Direction, ...]
    timesteps: tuple[int, ...]
    units: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self.layers), len(self.directions), len(self.timesteps), len(self.units)


@dataclass(frozen=True)
class Plan:
    """What an `Inspection` shows of one model. tensors: with their preactivations; reduced: what is reduced."""

    tensors: tuple[str, ...]
    reduced: tuple[str, ...]
    inspection: Inspection
    shape: Shape

    def select(self, length: int) -> Selection:
        """Raises: SelectionError, naming what was found and what exists."""
        s, chosen = self.shape, self.inspection.select
        return Selection(
            _existing("layers", chosen.layers, range(s.layers)),
            _existing("directions", chosen.directions, s.directions),
            chosen.timesteps.of(length),
            _existing("units", chosen.units, range(s.units)),
        )

    def values(self, length: int) -> int:
        """How many numbers the tensors shown of a text of `length` tokens are."""
        layers, directions, timesteps, units = self.select(length).shape
        return len(self.tensors) * layers * directions * timesteps * units


def plan(inspection: Inspection, shape: Shape) -> Plan:
    """Hold the options against the model.

    Raises: ActivationsUnavailable, OptionError, SelectionError.
    """
    available = TENSORS[shape.cell]
    named = available if inspection.tensors is None else tuple(ALIASES.get(n, n) for n in inspection.tensors)
    for asked, name in zip(inspection.tensors or named, named, strict=True):
        if name not in available:
            raise ActivationsUnavailable(asked, available)
    if len(set(named)) != len(named):
        raise SelectionError(f"tensors names one twice: {', '.join(named)}")
    shown = () if inspection.reduce and inspection.tensors is None else named
    before = [f"{n}_preactivation" for n in PREACTIVATED[shape.cell] if n in shown] if inspection.preactivations else []
    _check_options(inspection, shape, named)
    out = Plan((*shown, *before), named if inspection.reduce else (), inspection, shape)
    out.select(inspection.select.timesteps.start + 1)
    return out


def _check_options(inspection: Inspection, shape: Shape, named: Sequence[str]) -> None:
    if "half_life" in inspection.reduce and "forget_gate" not in named:
        raise OptionError(
            "half_life is of forget_gate, which is not among the tensors shown: name it, or leave half_life out"
        )
    if "phases" in inspection.reduce and shape.cell != "lstm":
        raise OptionError("phases are of an LSTM's gates, and this model is an RNN: leave phases out of reduce")
    if len(set(inspection.reduce)) != len(inspection.reduce):
        raise OptionError(f"reduce names one twice: {', '.join(inspection.reduce)}")
    if inspection.prefix_predictions and shape.task != "text-classification":
        raise OptionError("prefix_predictions is for classifiers, and this is an NER model: leave it out")
    if inspection.token_scores and shape.task != "token-classification":
        raise OptionError("token_scores is for NER models, and this is a classifier: leave it out")


def _existing(what: str, asked: Sequence[Any] | None, there: Sequence[Any]) -> tuple[Any, ...]:
    if asked is None:
        return tuple(there)
    for index in asked:
        if index not in there:
            allowed = f"0 to {len(there) - 1}" if isinstance(there, range) else ", ".join(map(str, there))
            raise SelectionError(f"{what} has {index!r}, which is not there: allowed are {allowed}")
    if len(set(asked)) != len(asked):
        raise SelectionError(f"{what} names an index twice: {list(asked)}")
    if not asked:
        raise SelectionError(f"{what} is empty: leave it out to select all, or name one or more")
    return tuple(asked)
