"""What an inspection shows of one turn of a stream."""

from dataclasses import replace
from functools import cached_property

import torch

from ..analysis.reductions import reduce
from ..recurrence.certificate import Certificate, chosen_timesteps, recurrence_error
from .prediction import Array, Inside
from .predictor import Predictor, Record
from .turns import Turn


class ShownTurn:
    """The selected tensors of a turn's tokens: gathered and certified once, whatever parts of them are shown."""

    def __init__(self, predictor: Predictor, turn: Turn, record: Record, embedding: Array | None) -> None:
        """record: of the turn's tokens; embedding: their x_t, where it is shown. The turn has a plan."""
        assert turn.plan is not None
        self.predictor, self.turn, self.plan = predictor, turn, turn.plan
        self.record, self.embedding = record, embedding

    def inside(self, first: int, stop: int, emissions: Array | None = None, marginals: Array | None = None) -> Inside:
        """The tokens from first to stop; emissions and marginals: theirs, where they are shown."""
        options, whole = self.plan.inspection, self.plan.select(len(self.turn))
        values = {name: x[:, :, first:stop] for name, x in self._values.items()}
        before = self.turn.state.timestep
        reduced = {name: values[name] for name in self.plan.reduced}
        return Inside(
            replace(whole, timesteps=tuple(range(before + first, before + stop))),
            {name: values[name] for name in self.plan.tensors},
            self._certificate,
            reduce(reduced, options.reduce, values) if options.reduce else None,
            None,
            self.embedding[first:stop] if options.embedding and self.embedding is not None else None,
            emissions,
            marginals,
        )

    @cached_property
    def _values(self) -> dict[str, Array]:
        """name -> [layer, direction, time, unit], as selected."""
        phase_gates = ("forget_gate", "input_gate") if "phases" in self.plan.inspection.reduce else ()
        names = {*self.plan.tensors, *self.plan.reduced, *phase_gates}
        return self.predictor.selected(self.record, names, self.plan.select(len(self.turn)))

    @cached_property
    def _certificate(self) -> Certificate:
        """As an inspection's, of the steps of this turn: the first of them begins at the stream's state."""
        largest, runner, turn, state = 0.0, self.predictor.runner, self.turn, self.turn.state
        for layer, (activations,) in enumerate(self.record.activations):
            steps = chosen_timesteps(turn.chunk.text, len(turn), layer, "forward")
            recurrence = self.predictor.network.encoder.recurrence(layer, "forward")
            if layer:
                x = self.record.later_inputs[layer - 1][steps]
            else:
                x = runner.embedded({kind: ids[steps] for kind, ids in turn.ids.items()})
            initial = {"hidden_state": state.hidden[layer]}
            if state.cell is not None:
                initial["cell_state"] = state.cell[layer]
            weights = recurrence.weights.to(torch.float64)
            error = recurrence_error(recurrence.cell, weights, x, activations, "forward", steps, initial)
            largest = max(largest, error)
        return Certificate(largest, runner.precision, self.predictor.device.type, runner.kernel)
