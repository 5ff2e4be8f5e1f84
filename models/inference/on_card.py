"""A batch on a card: what was asked for is selected, reduced and decoded there, and copied to the host as one block.

`CardBatch` queues the work and waits for nothing; `CardBatch.predictions` waits for the block. Between the two the
next batch can be queued, so that the card computes while the host writes answers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..analysis.batch_reductions import BatchReduced, reduce_batch
from ..analysis.reductions import Reduced
from ..checkpoint.checkpoint import Checkpoint
from ..network.constraints import barred_tags
from ..network.crf import FORBIDDEN
from ..network.network import Classifier, Tagger
from ..network.span_scores import span_scores
from ..recurrence.certificate import Certificate
from ..recurrence.certificates import checked_timesteps, recurrence_errors
from ..recurrence.encoder import Pass
from ..runtime.download import Download
from ..runtime.runner import Activations, Recording, Runner
from ..text.features import batch_ids
from .decoding import Decoder
from .inspection import Plan
from .prediction import Array, Inside, Prediction, Prefixes, Prepared

Handle = Callable[[], NDArray[Any]]


@dataclass(frozen=True)
class CardModel:
    """A model whose runner is on a card.

    prefixes_one_by_one: of a text whose prefixes one pass cannot give, else None.
    """

    checkpoint: Checkpoint
    runner: Runner
    decoder: Decoder
    prefixes_one_by_one: Callable[[Prepared], Prefixes] | None

    @property
    def network(self) -> Classifier | Tagger:
        return self.runner.network

    def forward(self, texts: Sequence[Prepared], recording: Recording) -> tuple[Pass, Activations | None]:
        lengths = torch.tensor([len(text) for text in texts], device="cpu")
        return self.runner.run(batch_ids([text.ids for text in texts]), lengths, recording)


class CardBatch:
    """Texts of similar length, on their way through a card."""

    def __init__(
        self, model: CardModel, texts: Sequence[Prepared], inspection_plan: Plan | None, recording: Recording
    ) -> None:
        self.model, self.texts, self.plan = model, texts, inspection_plan
        self.lengths = [len(text) for text in texts]
        self.download = Download()
        run, activations = model.forward(texts, recording)
        outputs = model.runner.outputs(run)
        self.logits = self.download.add(outputs)
        self.decoded = (
            _Decoded(model, texts, run, outputs, self.download) if isinstance(model.network, Tagger) else None
        )
        self.inside = None
        if inspection_plan and activations is not None:
            self.inside = _BatchInside(self, inspection_plan, run, activations)
        self.download.start()

    def predictions(self) -> list[Prediction]:
        """In the order of the texts."""
        decoder = self.model.decoder
        if self.decoded is None:
            found = decoder.decode(self.texts, torch.from_numpy(self.logits()))
        else:
            found = decoder.from_paths(self.texts, self.logits(), *self.decoded.values())
        if self.inside is None:
            return found
        return [prediction._replace(inside=self.inside.of_text(row)) for row, prediction in enumerate(found)]


class _Decoded:
    """The best paths of a tagger, the scores of their spans and, where asked for, the marginals of every tag."""

    def __init__(
        self, model: CardModel, texts: Sequence[Prepared], run: Pass, emissions: Tensor, download: Download
    ) -> None:
        network, tags = model.network, model.checkpoint.tags
        assert isinstance(network, Tagger)
        mask = barred_tags([text.tokens for text in texts], tags, emissions.shape[1])
        if mask is not None:
            emissions = emissions.masked_fill(torch.from_numpy(mask).to(emissions.device), FORBIDDEN)
        paths = network.crf.best_paths(emissions, run.lengths)
        self.lattice = network.crf.lattice(emissions, run.lengths)
        scores = span_scores(network.crf, self.lattice, emissions, run.lengths, paths, tags)
        self._handles = download.add(paths.to(torch.int32)), download.add(scores)

    def marginals(self) -> Tensor:
        alpha, beta, log_z = self.lattice
        return torch.exp(alpha + beta - log_z[:, None, None]).float()

    def values(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """paths [text, time], scores [text, time] of the spans that begin there."""
        return self._handles[0](), self._handles[1]()


class _BatchInside:
    """The inspections of a batch."""

    def __init__(self, batch: CardBatch, inspection_plan: Plan, run: Pass, activations: Activations) -> None:
        self.batch, self.plan, self.run = batch, inspection_plan, run
        self.selections = [inspection_plan.select(n) for n in batch.lengths]
        options, add = inspection_plan.inspection, batch.download.add
        index = batch.model.checkpoint.manifest.directions.index
        first = self.selections[0]
        self.sources = [[activations[layer][index(d)] for d in first.directions] for layer in first.layers]
        self.counts = [len(selection.timesteps) for selection in self.selections]
        self.begins = np.cumsum([0, *self.counts]).tolist()
        self.text_begins = np.cumsum([0, *batch.lengths]).tolist()
        chosen = self._rows([selection.timesteps for selection in self.selections])
        self.tensors = {name: add(self._selected(name, chosen)) for name in inspection_plan.tensors}
        reduced = self._reduced() if options.reduce else {}
        self.reduced = {name: {field: add(v) for field, v in fields.items()} for name, fields in reduced.items()}
        self.errors = add(self._errors(activations))
        every = self._rows([range(n) for n in batch.lengths])
        self.embedding = add(run.inputs[0].flatten(0, 1)[every]) if options.embedding else None
        self.marginals = None
        if options.token_scores:
            assert batch.decoded is not None
            self.marginals = add(batch.decoded.marginals().flatten(0, 1)[every])
        self.prefixes: tuple[Handle, Handle] | None = None
        if options.prefix_predictions and batch.model.prefixes_one_by_one is None:
            scores = torch.softmax(self._prefix_logits() / batch.model.decoder.temperature, dim=2)
            best = scores.max(2)
            self.prefixes = add(best.values), add(best.indices)

    def of_text(self, row: int) -> Inside:
        """The inspection of one text."""
        options, runner = self.plan.inspection, self.batch.model.runner
        begin, end = self.text_begins[row], self.text_begins[row + 1]
        emissions = self.batch.logits()[row, : end - begin] if options.token_scores else None
        return Inside(
            self.selections[row],
            {name: self._of_row(handle, row) for name, handle in self.tensors.items()},
            Certificate(float(self.errors()[row]), runner.precision, self.run.top.device.type, runner.kernel),
            self._reduced_of(row) if options.reduce else None,
            self._prefixes_of(row) if options.prefix_predictions else None,
            self.embedding()[begin:end] if self.embedding else None,
            emissions,
            self.marginals()[begin:end] if self.marginals else None,
        )

    def _rows(self, timesteps: Sequence[Sequence[int]]) -> Tensor:
        """The rows text * time + t of these timesteps of each text, one text after the other."""
        time = self.run.top.shape[1]
        rows = np.concatenate([np.asarray(steps) + text * time for text, steps in enumerate(timesteps)])
        return torch.from_numpy(rows).to(self.run.top.device)

    def _selected(self, name: str, rows: Tensor) -> Tensor:
        """[layer, direction, row, unit]"""
        return torch.stack([torch.stack([self._units(d[name].flatten(0, 1)[rows]) for d in by]) for by in self.sources])

    def _units(self, values: Tensor) -> Tensor:
        units = list(self.selections[0].units)
        if units == list(range(values.shape[-1])):
            return values
        return values[..., torch.tensor(units, device=values.device)]

    def _of_row(self, handle: Handle, row: int) -> Array:
        return np.ascontiguousarray(handle()[:, :, self.begins[row] : self.begins[row + 1]])

    def _reduced(self) -> BatchReduced:
        options = self.plan.inspection
        gates = ("forget_gate", "input_gate") if "phases" in options.reduce else ()
        steps = options.select.timesteps
        stop = steps.start + steps.stride * max(self.counts)

        def padded(name: str) -> Tensor:
            """[text, layer, direction, timestep, unit]"""
            by_layer = [[self._units(d[name][:, steps.start : stop : steps.stride]) for d in by] for by in self.sources]
            return torch.stack([torch.stack(by, dim=1) for by in by_layer], dim=1)

        values = {name: padded(name) for name in {*self.plan.reduced, *gates}}
        shown: Mapping[str, Tensor] = {name: values[name] for name in self.plan.reduced}
        counts = torch.tensor(self.counts, device=self.run.top.device)
        return reduce_batch(shown, counts, options.reduce, values)

    def _reduced_of(self, row: int) -> Reduced:
        return {
            name: {
                field: handle()[row][..., : self.counts[row]] if field == "norm" else handle()[row]
                for field, handle in fields.items()
            }
            for name, fields in self.reduced.items()
        }

    def _errors(self, activations: Activations) -> Tensor:
        """The certificate's error of each text: [text]."""
        encoder, run, texts = self.batch.model.network.encoder, self.run, [t.text for t in self.batch.texts]
        found = []
        for layer, by_direction in enumerate(activations):
            for d, direction in enumerate(encoder.directions):
                steps = checked_timesteps(texts, self.batch.lengths, layer, direction).to(run.top.device)
                recurrence, x = encoder.recurrence(layer, direction), run.inputs[layer]
                found.append(recurrence_errors(recurrence, x, by_direction[d], run.lengths, steps))
        return torch.stack(found).amax(0)

    def _prefix_logits(self) -> Tensor:
        """Of each text cut after each token: float64 [text, time, label]."""
        return self.batch.model.network.head(self.run.top).double()  # type: ignore[no-any-return]

    def _prefixes_of(self, row: int) -> Prefixes:
        model, n = self.batch.model, self.batch.lengths[row]
        if model.prefixes_one_by_one:
            return model.prefixes_one_by_one(self.batch.texts[row])
        assert self.prefixes is not None
        scores, best = (handle()[row, :n] for handle in self.prefixes)
        return Prefixes.of_best([model.checkpoint.labels[k] for k in best], scores)
