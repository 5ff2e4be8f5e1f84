"""The whole library in one method: texts in; labels or entities out and, on request, states and gates."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..analysis.reductions import reduce
from ..checkpoint.checkpoint import Checkpoint
from ..errors import EmptyText, OptionError, TooManyCharacters, TooManyTokens
from ..network.constraints import bar
from ..network.crf import Lattice
from ..network.network import Classifier, Tagger
from ..recurrence.certificate import Certificate, chosen_timesteps
from ..recurrence.encoder import Pass
from ..runtime.cpu.fused import FusedRunner
from ..runtime.cpu.kernel import KernelUnavailable, Precision, choose
from ..runtime.cuda.runner import runner_on_card
from ..runtime.grouping import similar_lengths
from ..runtime.runner import Activations, Recording, Runner, TorchRunner
from ..text.features import batch_ids, text_ids
from ..text.tokenizers import TOKENIZERS
from ..text.tokens import Tokens
from ..text.vocabulary import Vocabulary
from .decoding import Decoder, softmax
from .inspection import Inspection, Plan, Selection, Shape, plan
from .on_card import CardBatch, CardModel
from .prediction import Array, Inside, Prediction, Prefixes, Prepared


class Predictor:
    """A loaded model. Not thread-safe: one thread for each device runs it."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        batch_tokens: int = 16384,
        kernel: str = "auto",
        precision: Precision = "float32",
        threads: int = 1,
    ) -> None:
        """batch_tokens: the largest number of padded tokens in a batch; a longer text runs alone.

        kernel: of the recurrence: on the CPU a name for `models.runtime.cpu.kernel.choose`, on a card ``cuda`` for our
        own, else cuDNN; precision and threads: of the fused kernel, see `FusedRunner`.
        Raises: KernelUnavailable, also for bfloat16 without a fused kernel.
        """
        self.checkpoint, self.device, self.batch_tokens = checkpoint, device, batch_tokens
        self.network: Classifier | Tagger = checkpoint.network.to(device).eval()
        fused_kernel = choose(kernel) if device.type == "cpu" else None
        if fused_kernel:
            self.runner: Runner = FusedRunner(self.network, fused_kernel, precision, threads)
        elif precision == "float32":
            own = kernel == "cuda" and device.type == "cuda"
            self.runner = runner_on_card(self.network, device) if own else TorchRunner(self.network, device)
        else:
            raise KernelUnavailable(
                f"{precision} is the fused kernel's, and {checkpoint.manifest.name} runs on torch's"
            )
        self.decoder = Decoder(checkpoint)
        self._tokenize = TOKENIZERS[checkpoint.manifest.tokenizer]

    @property
    def shape(self) -> Shape:
        m = self.checkpoint.manifest
        return Shape(m.task, m.cell, m.layers, m.directions, m.units)

    @property
    def is_tagger(self) -> bool:
        return isinstance(self.network, Tagger)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens' vocabulary; other features have their own."""
        vocabulary = self.network.architecture.features[0].vocabulary
        assert vocabulary is not None
        return vocabulary

    def predict(self, texts: Sequence[str], inspection: Inspection | None = None) -> list[Prediction]:
        """The predictions, in the order of `texts`.

        Raises: InputError: EmptyText, TooManyTokens, TooManyCharacters, or what `inspection.plan` raises.
        """
        inspection_plan = plan(inspection, self.shape) if inspection else None
        return self.run([self.prepare(text, i) for i, text in enumerate(texts)], inspection_plan)

    def prepare(self, text: str, index: int | None = None) -> Prepared:
        """Tokens and ids of one text; `index` is its position in a batch, for the error message.

        Raises: EmptyText, TooManyCharacters, TooManyTokens.
        """
        m = self.checkpoint.manifest
        if len(text) > m.max_characters:
            raise TooManyCharacters(len(text), m.max_characters)
        tokens = self._tokenize(text)
        if not tokens:
            raise EmptyText(index)
        if len(tokens) > m.max_tokens:
            raise TooManyTokens(len(tokens), m.max_tokens)
        return self.from_tokens(text, tokens)

    def from_tokens(self, text: str, tokens: Tokens) -> Prepared:
        """A prepared text of these tokens, which may be only some of the text's."""
        return Prepared(text, tokens, text_ids(self.network.architecture.features, tokens))

    def cost(self, length: int, inspection_plan: Plan | None) -> int:
        """Tokens that the model reads for a text of `length`: more where each prefix is run separately."""
        if inspection_plan and inspection_plan.inspection.prefix_predictions and not self.reads_prefixes_at_once:
            return length + length * (length + 1) // 2
        return length

    def values(self, length: int, inspection_plan: Plan) -> int:
        """How many numbers the inspection of a text of `length` tokens has.

        Raises: SelectionError where the selection does not fit the text.
        """
        per_token = self.network.embedding.size if inspection_plan.inspection.embedding else 0
        if inspection_plan.inspection.token_scores:
            per_token += 2 * len(self.checkpoint.tags)
        return inspection_plan.values(length) + per_token * length

    @property
    def reads_prefixes_at_once(self) -> bool:
        """One pass predicts every prefix: forward only, read from the last state, so h_t is the prefix's last state."""
        m = self.checkpoint.manifest
        return m.directions == ("forward",) and m.reads == "last_state"

    @torch.inference_mode()
    def run(self, texts: Sequence[Prepared], inspection_plan: Plan | None = None) -> list[Prediction]:
        """The predictions of prepared texts; texts of similar length run in one batch."""
        if self.device.type != "cpu":
            return self._run_on_card(texts, inspection_plan)
        predictions: dict[int, Prediction] = {}
        recording = inspection_plan is not None
        most_tokens = self.batch_tokens // 8 if recording else self.batch_tokens  # recording keeps every gate
        for indices in similar_lengths([len(t) for t in texts], most_tokens):
            batch = [texts[i] for i in indices]
            run, activations = self.forward(batch, _recording(inspection_plan))
            answers = self.answers(batch, run)
            if inspection_plan and activations:
                record = Record.from_pass(run, activations)
                insides = (self._inside(text, row, run, record, inspection_plan) for row, text in enumerate(batch))
                answers = [a._replace(inside=inside) for a, inside in zip(answers, insides, strict=True)]
            predictions.update(zip(indices, answers, strict=True))
        return [predictions[i] for i in range(len(texts))]

    def _run_on_card(self, texts: Sequence[Prepared], inspection_plan: Plan | None) -> list[Prediction]:
        """As `run`: while one batch is on its way to the host, the card has the next one."""
        predictions: dict[int, Prediction] = {}
        waiting: tuple[list[int], CardBatch] | None = None
        one_by_one = None if self.reads_prefixes_at_once else self.prefixes_one_by_one
        model = CardModel(self.checkpoint, self.runner, self.decoder, one_by_one)
        for indices in [*similar_lengths([len(t) for t in texts], self.batch_tokens), None]:
            batch = None
            if indices is not None:
                batch = CardBatch(model, [texts[i] for i in indices], inspection_plan, _recording(inspection_plan))
            if waiting is not None:
                predictions |= zip(waiting[0], waiting[1].predictions(), strict=True)
            waiting = None if indices is None or batch is None else (indices, batch)
        return [predictions[i] for i in range(len(texts))]

    def forward(self, batch: Sequence[Prepared], recording: Recording) -> tuple[Pass, Activations | None]:
        """One pass over a batch, with its activations unless nothing is recorded."""
        lengths = torch.from_numpy(np.array([len(t) for t in batch]))
        return self.runner.run(batch_ids([t.ids for t in batch]), lengths, recording)

    def answers(self, batch: Sequence[Prepared], run: Pass) -> list[Prediction]:
        """The predictions of a batch from its pass."""
        return self.decoder.decode(batch, self.runner.outputs(run))

    def _inside(self, text: Prepared, row: int, run: Pass, record: "Record", inspection_plan: Plan) -> Inside:
        """The inspection of the text in row `row` of a batch."""
        n, options = len(text), inspection_plan.inspection
        text_record = record.text(row, n)
        selection = inspection_plan.select(n)
        phase_gates = ("forget_gate", "input_gate") if "phases" in options.reduce else ()
        names = {*inspection_plan.tensors, *inspection_plan.reduced, *phase_gates}
        values = self.selected(text_record, names, selection)
        reduced = {name: values[name] for name in inspection_plan.reduced}
        emissions = marginals = None
        if options.token_scores:
            emissions, marginals = self._token_scores(text, run, row)
        return Inside(
            selection,
            {name: values[name] for name in inspection_plan.tensors},
            self._certificate(text, text_record),
            reduce(reduced, options.reduce, values) if options.reduce else None,
            self._prefixes(text, run, row) if options.prefix_predictions else None,
            run.inputs[0][row, :n].cpu().numpy() if options.embedding else None,
            emissions,
            marginals,
        )

    def selected(self, record: "Record", names: Iterable[str], selection: Selection) -> dict[str, Array]:
        """The selected part of these tensors of one text: name -> [layer, direction, timestep, unit]."""
        index = self.checkpoint.manifest.directions.index
        sources = [record.activations[layer][index(d)] for layer in selection.layers for d in selection.directions]
        time, units = sources[0]["hidden_state"].shape
        every_step, every_unit = len(selection.timesteps) == time, selection.units == tuple(range(units))
        selected = {}
        for name in names:
            values = np.stack([source[name] for source in sources]) if len(sources) > 1 else sources[0][name]
            values = values.reshape(len(selection.layers), len(selection.directions), time, units)
            if not every_step:
                values = values[:, :, list(selection.timesteps)]
            if not every_unit:
                values = values[:, :, :, list(selection.units)]
            selected[name] = values
        return selected

    def _certificate(self, text: Prepared, record: "Record") -> Certificate:
        largest = 0.0
        for layer, by_direction in enumerate(record.activations):
            for d, direction in enumerate(self.network.encoder.directions):
                steps = chosen_timesteps(text.text, len(text), layer, direction)
                if layer == 0:
                    x = self.runner.embedded({kind: ids[steps] for kind, ids in text.ids.items()})
                else:
                    x = record.later_inputs[layer - 1][steps]
                error = self.runner.recurrence_error(layer, direction, x, by_direction[d], steps)
                largest = max(largest, error)
        return Certificate(largest, self.runner.precision, self.device.type, self.runner.kernel)

    def _token_scores(self, text: Prepared, run: Pass, row: int) -> tuple[Array, Array]:
        """(emissions, marginals), each [time, tag]; the marginals are of the paths that the text allows."""
        assert isinstance(self.network, Tagger)
        emissions = self.runner.outputs(run)[row : row + 1, : len(text)]
        scored = bar(emissions, [text.tokens], self.checkpoint.tags)
        lattice: Lattice = self.network.crf.lattice(scored, run.lengths[row : row + 1])
        marginals = self.network.crf.text_lattice(lattice, scored, 0, len(text)).marginals()
        return emissions[0].cpu().numpy(), marginals.astype(np.float32)

    def _prefixes(self, text: Prepared, run: Pass, row: int) -> Prefixes:
        if not isinstance(self.network, Classifier):
            raise OptionError("prefix_predictions is for classifiers")
        if not self.reads_prefixes_at_once:
            return self.prefixes_one_by_one(text)
        return self._prefixes_of(self.network.head(run.top[row, : len(text)]).cpu().numpy())

    def prefixes_one_by_one(self, text: Prepared) -> Prefixes:
        """Each prefix run by itself."""
        return self._prefixes_of(np.stack([p.logits for p in self.run([text.prefix(n + 1) for n in range(len(text))])]))

    def _prefixes_of(self, logits: Array) -> Prefixes:
        """logits [prefix, label]"""
        scores = softmax(logits, self.checkpoint.manifest.temperature)
        return Prefixes.of_best([self.checkpoint.labels[k] for k in scores.argmax(1)], scores.max(1))


@dataclass(frozen=True)
class Record:
    """The recorded tensors of a pass as numpy arrays, [batch, time, feature], or of one text, [time, feature].

    activations: [layer][direction] -> tensor name -> values; later_inputs: the inputs of every layer except layer 0.
    """

    activations: list[list[dict[str, Array]]]
    later_inputs: list[Array]

    @classmethod
    def from_pass(cls, run: Pass, activations: Activations) -> "Record":
        arrays = [[{name: v.cpu().numpy() for name, v in d.items()} for d in layer] for layer in activations]
        return cls(arrays, [x.cpu().numpy() for x in run.inputs[1:]])

    def text(self, row: int, length: int) -> "Record":
        """The record of the text in this row, without padding."""
        arrays = [[{name: v[row, :length] for name, v in d.items()} for d in layer] for layer in self.activations]
        return Record(arrays, [x[row, :length] for x in self.later_inputs])


def _recording(inspection_plan: Plan | None) -> Recording:
    if inspection_plan is None:
        return "nothing"
    return "everything" if inspection_plan.inspection.preactivations else "gates"
