"""The options of an inspection, and what they select from a given text.

Nothing is clamped: every index must exist and appear once. Only a timestep slice may end after a text's end, because a
batch of texts of different lengths needs that; the answer then says which timesteps were selected.
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
    """A slice of timesteps; stop None is the text's end."""

    start: int = 0
    stop: int | None = None
    stride: int = 1

    def indices(self, length: int) -> tuple[int, ...]:
        """The timesteps that the slice selects from a text of `length` tokens.

        Raises: SelectionError where start, stop or stride is out of range, or the slice begins after the text's end.
        """
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
    """None selects everything; tuples are kept in their order."""

    layers: tuple[int, ...] | None = None
    directions: tuple[str, ...] | None = None
    timesteps: Timesteps = field(default_factory=Timesteps)
    units: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Inspection:
    """The options of Inspect, except how the answer is written. tensors None: all of the cell's."""

    tensors: tuple[str, ...] | None = None
    preactivations: bool = False
    select: Select = field(default_factory=Select)
    reduce: tuple[Reduction, ...] = ()
    prefix_predictions: bool = False
    embedding: bool = False
    token_scores: bool = False


@dataclass(frozen=True)
class Shape:
    """The facts about a model that decide whether an `Inspection` fits it."""

    task: Task
    cell: Cell
    layers: int
    directions: tuple[Direction, ...]
    units: int


@dataclass(frozen=True)
class Selection:
    """The layers, directions, timesteps and units that a `Select` selects from one text."""

    layers: tuple[int, ...]
    directions: tuple[Direction, ...]
    timesteps: tuple[int, ...]
    units: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self.layers), len(self.directions), len(self.timesteps), len(self.units)


@dataclass(frozen=True)
class Plan:
    """An `Inspection` that fits a model. tensors: to return, with preactivations; reduced: to reduce."""

    tensors: tuple[str, ...]
    reduced: tuple[str, ...]
    inspection: Inspection
    shape: Shape

    def select(self, length: int) -> Selection:
        """What is selected from a text of `length` tokens.

        Raises: SelectionError, naming what was found and what exists.
        """
        shape, select = self.shape, self.inspection.select
        return Selection(
            _existing("layers", select.layers, range(shape.layers)),
            _existing("directions", select.directions, shape.directions),
            select.timesteps.indices(length),
            _existing("units", select.units, range(shape.units)),
        )

    def values(self, length: int) -> int:
        """How many numbers the selected tensors of a text of `length` tokens have."""
        layers, directions, timesteps, units = self.select(length).shape
        return len(self.tensors) * layers * directions * timesteps * units


def plan(inspection: Inspection, shape: Shape) -> Plan:
    """The plan of an inspection, after checking that its options fit the model.

    Raises: ActivationsUnavailable, OptionError, SelectionError.
    """
    available = TENSORS[shape.cell]
    names = available if inspection.tensors is None else tuple(ALIASES.get(n, n) for n in inspection.tensors)
    for requested, name in zip(inspection.tensors or names, names, strict=True):
        if name not in available:
            raise ActivationsUnavailable(requested, available)
    if len(set(names)) != len(names):
        raise SelectionError(f"tensors names one twice: {', '.join(names)}")
    returned = () if inspection.reduce and inspection.tensors is None else names
    preactivated = [n for n in PREACTIVATED[shape.cell] if n in returned] if inspection.preactivations else []
    _check_options(inspection, shape, names)
    tensors = (*returned, *(f"{n}_preactivation" for n in preactivated))
    checked = Plan(tensors, names if inspection.reduce else (), inspection, shape)
    checked.select(inspection.select.timesteps.start + 1)  # raises where an index does not exist
    return checked


def _check_options(inspection: Inspection, shape: Shape, names: Sequence[str]) -> None:
    if "half_life" in inspection.reduce and "forget_gate" not in names:
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


def _existing(axis: str, selected: Sequence[Any] | None, existing: Sequence[Any]) -> tuple[Any, ...]:
    """The selected indices of an axis, all where None, after checking that each exists and appears once."""
    if selected is None:
        return tuple(existing)
    for index in selected:
        if index not in existing:
            allowed = f"0 to {len(existing) - 1}" if isinstance(existing, range) else ", ".join(map(str, existing))
            raise SelectionError(f"{axis} has {index!r}, which is not there: allowed are {allowed}")
    if len(set(selected)) != len(selected):
        raise SelectionError(f"{axis} names an index twice: {list(selected)}")
    if not selected:
        raise SelectionError(f"{axis} is empty: leave it out to select all, or name one or more")
    return tuple(selected)
