"""The analyses of one loaded model: texts in; memory, attribution, fading, interventions and comparisons out.

`models.analysis` has the mathematics as pure functions; here they meet the tokens, labels and heads of a `Predictor`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ..analysis.alignment import align, distances
from ..analysis.arrays import host
from ..analysis.attribution import Attribution, Options, Output
from ..analysis.fading import Fading, fading, gradient_norms
from ..analysis.interventions import Intervention, Outcome, intervene, sweep
from ..analysis.memory import Measure, memory
from ..analysis.methods import FALLBACK, METHODS, attribute, method_named
from ..analysis.subject import Subject, TextRuns
from ..analysis.sums import GateSum, gate_sums
from ..errors import OptionError, SelectionError
from ..network.network import Tagger
from ..recurrence.encoder import Pass
from ..runtime.runner import Activations
from ..text.features import batch_ids
from .inspection import Selection, Timesteps
from .prediction import Prediction, Prepared
from .predictor import Predictor

WINDOW = 256  # timesteps of a T x T matrix that are shown unless others are asked for


@dataclass(frozen=True)
class MemoryReport:
    """retention and mass [selected, selected]; gradient_norm float64 [time] of the whole text, and its fading."""

    selection: Selection
    matrices: dict[Measure, NDArray[np.float64]]
    gradient_norm: NDArray[np.float64]
    fading: Fading


@dataclass(frozen=True)
class TextComparison:
    """Two texts' predictions, the places of the tokens that they share, and the states' distance at each."""

    predictions: tuple[Prediction, Prediction]
    pairs: list[tuple[int, int]]
    distance: NDArray[np.float64]


@dataclass(frozen=True)
class InterventionReport:
    """baseline and intervened as predictions; delta [label] or [time, tag]; swept: one delta for each index."""

    baseline: Prediction
    intervened: Prediction
    delta: NDArray[np.floating]
    swept: list[NDArray[np.floating]]


@dataclass(frozen=True)
class Question:
    """What is to be explained, and how.

    target: a label (a tag) by name, None: the predicted one; timestep: a tagger's; method None: the model's default.
    """

    target: str | None = None
    timestep: int | None = None
    method: str | None = None
    options: Options = field(default_factory=Options)


class Analyst:
    """Runs on the model thread, as its predictor does. Every method is of one prepared text."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor, self.network = predictor, predictor.network

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the logits stand for: labels, or a tagger's tags."""
        checkpoint = self.predictor.checkpoint
        return checkpoint.tags if isinstance(self.network, Tagger) else checkpoint.labels

    def select(
        self, text: Prepared, layer: int, direction: str, timesteps: Timesteps | None, units: Sequence[int] | None
    ) -> Selection:
        """The part of a text that a matrix shows; by default its last `WINDOW` timesteps and every unit.

        Raises: SelectionError, OptionError.
        """
        shape = self.predictor.shape
        if not 0 <= layer < shape.layers:
            raise SelectionError(f"layer is {layer}, the model has {shape.layers}: 0 to {shape.layers - 1} are allowed")
        if direction not in shape.directions:
            raise SelectionError(f"direction is {direction!r}, the model has {', '.join(shape.directions)}")
        chosen = tuple(range(shape.units)) if units is None else tuple(units)
        if not chosen or len(set(chosen)) != len(chosen) or not all(0 <= u < shape.units for u in chosen):
            raise SelectionError(f"units is {list(chosen)[:8]}: one or more of 0 to {shape.units - 1}, each once")
        window = timesteps or Timesteps(max(0, len(text) - WINDOW))
        return Selection(
            (layer,), (shape.directions[shape.directions.index(direction)],), window.indices(len(text)), chosen
        )

    @property
    def default_method(self) -> str:
        """Of attribution: what the manifest names, chosen by measured faithfulness when the model was made."""
        return default_method(self.predictor)

    @torch.inference_mode()
    def memory(self, text: Prepared, selection: Selection, measures: Sequence[Measure]) -> MemoryReport:
        """Retention and mass of one layer and direction, and how the predicted output's gradient fades.

        Raises: ActivationsUnavailable: an RNN has neither retention nor mass.
        """
        runs = self._runs(text)
        (layer,), (direction,) = selection.layers, selection.directions
        matrices: dict[Measure, NDArray[np.float64]] = {}
        if measures:
            d = self.predictor.shape.directions.index(direction)
            recorded = {name: values[0] for name, values in runs.record()[1][layer][d].items()}
            matrices = memory(recorded, direction, selection.timesteps, selection.units, measures)
        norm = self._gradient_norm(runs)
        return MemoryReport(selection, matrices, norm, fading(norm))

    @torch.inference_mode()
    def gate_sums(self, text: Prepared, selection: Selection, shown: int | None = None) -> dict[str, GateSum]:
        """The sums behind the gates of the one unit, at the one step, of the layer and direction that are selected."""
        (layer,), (direction,), (t,), (unit,) = (
            selection.layers,
            selection.directions,
            selection.timesteps,
            selection.units,
        )
        run = self._runs(text).run
        recurrence = self.network.encoder.recurrence(layer, direction)
        states = host(run.hidden_states[layer][self.predictor.shape.directions.index(direction)][0, : len(text)])
        before = t - 1 if direction == "forward" else t + 1
        previous = states[before] if 0 <= before < len(text) else np.zeros_like(states[t])
        return gate_sums(recurrence.cell, recurrence.weights, unit, host(run.inputs[layer][0, t]), previous, shown)

    @torch.inference_mode()
    def fading(self, text: Prepared) -> Fading:
        """How the influence of a token on the predicted output falls with its distance from the last one."""
        return fading(self._gradient_norm(self._runs(text)))

    @torch.inference_mode()
    def attribute(self, text: Prepared, question: Question | None = None) -> Attribution:
        """Which tokens made a logit; without a target the predicted label's, or the decoded tag's at the timestep.

        Raises: OptionError (an unknown target, a method, option or timestep that this model has no use for),
                SelectionError.
        """
        question = question or Question()
        self._check_timestep(text, question.timestep)
        method = method_named(question.method or self.default_method)
        method.check(self.network.encoder.cell, question.options)
        runs = self._runs(text)
        if method.records:
            runs.record()  # so that the target is read off the same pass
        output = Output(self._target(question.target, runs, question.timestep), question.timestep)
        return attribute(Subject(runs, output), method.name, question.options)

    @torch.inference_mode()
    def compare_texts(self, first: Prepared, second: Prepared) -> TextComparison:
        """Two texts on this model."""
        answers, states = [], []
        for text in (first, second):
            run, _ = self.predictor.forward([text], "nothing")
            answers += self.predictor.answers([text], run)
            states.append(run.top[0].float().cpu().numpy())
        pairs = align([t.text for t in first.tokens], [t.text for t in second.tokens])
        return TextComparison((answers[0], answers[1]), pairs, distances(pairs, states[0], states[1]))

    @torch.inference_mode()
    def intervene(
        self,
        text: Prepared,
        changes: Sequence[Intervention],
        swept: Intervention | None,
        over: Literal["units", "timesteps"] | None,
    ) -> InterventionReport:
        """What the text would have come to with gates, units or states changed, and a sweep on top of that.

        Raises: ActivationsUnavailable, OptionError, SelectionError.
        """
        variants = [tuple(changes)]
        if swept is not None and over is not None:
            count = self.predictor.shape.units if over == "units" else len(text)
            variants += sweep(tuple(changes), swept, over, count)
        outcome: Outcome = intervene(self.network, self._input(text), variants)
        return InterventionReport(
            self._prediction(text, outcome.baseline),
            self._prediction(text, outcome.logits[0]),
            outcome.delta[0],
            list(outcome.delta[1:]),
        )

    def record(self, text: Prepared) -> tuple[Pass, Activations]:
        """One pass over the text with everything that happened in it."""
        run, recorded = self.predictor.forward([text], "everything")
        assert recorded is not None
        return run, recorded

    def _input(self, text: Prepared) -> torch.Tensor:
        """x_t: [time, input]"""
        ids = {kind: value.to(self.predictor.device) for kind, value in batch_ids([text.ids]).items()}
        x: torch.Tensor = self.network.embedding(ids)[0]
        return x

    def _runs(self, text: Prepared) -> TextRuns:
        return TextRuns(self.predictor.runner, text.tokens, text.ids, self.outputs)

    def _gradient_norm(self, runs: TextRuns) -> NDArray[np.float64]:
        run, recorded = runs.record()
        timestep = len(runs) - 1 if isinstance(self.network, Tagger) else None
        target = self._target(None, runs, timestep)
        return gradient_norms(self.network, run, recorded, [target], None if timestep is None else [timestep])[0]

    def _target(self, target: str | None, runs: TextRuns, timestep: int | None) -> int:
        if target is not None:
            if target not in self.outputs:
                raise OptionError(f"target is {target[:64]!r}, but the model has {', '.join(self.outputs)}")
            return self.outputs.index(target)
        if timestep is None:
            return int(runs.outputs().argmax())
        return runs.decoded()[timestep]

    def _check_timestep(self, text: Prepared, timestep: int | None) -> None:
        if isinstance(self.network, Tagger):
            if timestep is None:
                raise OptionError("timestep is missing: an NER model has an output at every timestep, so name one")
            if not 0 <= timestep < len(text):
                raise SelectionError(
                    f"timestep is {timestep}, the text has {len(text)} tokens: 0 to {len(text) - 1} are allowed"
                )
        elif timestep is not None:
            raise OptionError("timestep is for NER models, and this is a classifier with one output: leave it out")

    def _prediction(self, text: Prepared, logits: NDArray[np.floating]) -> Prediction:
        """The prediction that given logits make."""
        outputs = torch.from_numpy(logits.astype(np.float32))[None].to(self.predictor.device)
        return self.predictor.decoder.decode([text], outputs)[0]


def default_method(predictor: Predictor) -> str:
    """The attribution method that answers where none is named.

    A manifest may name a method of a later version, or none: then `FALLBACK` answers.
    """
    named = predictor.checkpoint.manifest.default_attribution
    return named if named in METHODS else FALLBACK
