"""The whole domain in one method: texts in; labels or entities out and, when asked, what happened inside."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..analysis.reductions import reduce
from ..checkpoint.checkpoint import Checkpoint
from ..errors import EmptyText, OptionError, TooManyCharacters, TooManyTokens
from ..network.crf import Lattice
from ..network.network import Classifier, Tagger
from ..recurrence.certificate import Certificate, chosen_timesteps
from ..recurrence.encoder import Pass
from ..runtime.cpu.fused import FusedRunner
from ..runtime.cpu.kernel import KernelUnavailable, Precision, choose
from ..runtime.runner import Activations, Recording, Runner, TorchRunner
from ..text.features import batch_ids, text_ids
from ..text.tokenizers import TOKENIZERS, Tokens
from ..text.vocabulary import Vocabulary
from .decoding import Decoder, softmax
from .inspection import Inspection, Plan, Selection, Shape, plan
from .prediction import Array, Inside, Prediction, Prefixes, Prepared


class Predictor:
    """A loaded model. Not thread-safe: one thread a device runs it."""

    def __init__(
        self, checkpoint: Checkpoint, device: torch.device, batch_tokens: int = 16384, kernel: str = "auto",
        precision: Precision = "float32", threads: int = 1,
    ) -> None:  # fmt: skip
        """batch_tokens: padded tokens that run together at most; a single longer text still runs, alone.

        kernel: of the recurrence on the CPU, as `models.runtime.cpu.kernel.choose` names them; precision and threads:
        of the fused kernel, as `FusedRunner` has them.
        Raises: KernelUnavailable, also for bfloat16 without a fused kernel.
        """
        self.checkpoint, self.device, self.batch_tokens = checkpoint, device, batch_tokens
        self.network: Classifier | Tagger = checkpoint.network.to(device).eval()
        fused = choose(kernel) if device.type == "cpu" else None
        if fused:
            self.runner: Runner = FusedRunner(self.network, fused, precision, threads)
        elif precision == "float32":
            self.runner = TorchRunner(self.network, device)
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
        """Of the tokens; other features have their own."""
        found = self.network.architecture.features[0].vocabulary
        assert found is not None
        return found

    def predict(self, texts: Sequence[str], inspection: Inspection | None = None) -> list[Prediction]:
        """Answers in the order of `texts`.

        Raises: InputError: EmptyText, TooManyTokens, TooManyCharacters, or what `inspection.plan` raises.
        """
        shown = plan(inspection, self.shape) if inspection else None
        return self.run([self.prepare(text, i) for i, text in enumerate(texts)], shown)

    def prepare(self, text: str, index: int | None = None) -> Prepared:
        """Tokens and ids of one text; `index` is its place in a batch, for the message.

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
        """The ids of tokens that need not be all of the text's."""
        return Prepared(text, tokens, text_ids(self.network.architecture.features, tokens))

    def cost(self, length: int, shown: Plan | None) -> int:
        """Tokens that the model has to read for a text of `length`: more where prefixes are truly re-run."""
        if shown and shown.inspection.prefix_predictions and not self.reads_prefixes_at_once:
            return length + length * (length + 1) // 2
        return length

    def values(self, length: int, shown: Plan) -> int:
        """How many numbers an answer about a text of `length` tokens would hold.

        Raises: SelectionError where the selection does not fit the text.
        """
        per_token = self.network.embedding.size if shown.inspection.embedding else 0
        if shown.inspection.token_scores:
            per_token += 2 * len(self.checkpoint.tags)
        return shown.values(length) + per_token * length

    @property
    def reads_prefixes_at_once(self) -> bool:
        """Forward-only and read from the last state: h_t is the state of the text cut after t."""
        m = self.checkpoint.manifest
        return m.directions == ("forward",) and m.reads == "last_state"

    @torch.inference_mode()
    def run(self, texts: Sequence[Prepared], shown: Plan | None = None) -> list[Prediction]:
        """Predict prepared texts, those of like length side by side."""
        out: dict[int, Prediction] = {}
        for rows in self._batches([len(t) for t in texts], recording=shown is not None):
            batch = [texts[i] for i in rows]
            run, activations = self.forward(batch, _recording(shown))
            answers = self.answers(batch, run)
            record = Record.of(run, activations) if activations else None
            for b, (i, answer) in enumerate(zip(rows, answers, strict=True)):
                inside = self._inside(batch[b], b, run, record, shown) if shown and record else None
                out[i] = answer if inside is None else replace(answer, inside=inside)
        return [out[i] for i in range(len(texts))]

    def forward(self, batch: Sequence[Prepared], recording: Recording) -> tuple[Pass, Activations | None]:
        lengths = torch.from_numpy(np.array([len(t) for t in batch]))
        return self.runner.run(batch_ids([t.ids for t in batch]), lengths, recording)

    def _batches(self, lengths: Sequence[int], recording: bool) -> Iterator[list[int]]:
        """Places in `lengths`, in groups of like length; recorded ones are smaller, for they keep every gate."""
        budget = self.batch_tokens // 8 if recording else self.batch_tokens
        group: list[int] = []
        for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
            if group and lengths[i] * (len(group) + 1) > budget:
                yield group
                group = []
            group.append(i)
        if group:
            yield group

    def answers(self, batch: Sequence[Prepared], run: Pass) -> list[Prediction]:
        """What the head says of a pass over `batch`."""
        return self.decoder.decode(batch, self.runner.outputs(run))

    def _inside(self, text: Prepared, row: int, run: Pass, record: "Record", shown: Plan) -> Inside:
        """What `shown` asks to see of row `row` of a batch."""
        n, asked = len(text), shown.inspection
        its = record.text(row, n)
        selection = shown.select(n)
        wanted = {*shown.tensors, *shown.reduced, *(("forget_gate", "input_gate") if "phases" in asked.reduce else ())}
        values = self._selected(its, wanted, selection)
        emissions = marginals = None
        if asked.token_scores:
            emissions, marginals = self._token_scores(run, row, n)
        return Inside(
            selection,
            {name: values[name] for name in shown.tensors},
            self._certificate(text, its),
            reduce({name: values[name] for name in shown.reduced}, asked.reduce, values) if asked.reduce else None,
            self._prefixes(text, run, row) if asked.prefix_predictions else None,
            run.inputs[0][row, :n].cpu().numpy() if asked.embedding else None,
            emissions,
            marginals,
        )

    def _selected(self, its: "Record", names: Iterable[str], selection: Selection) -> dict[str, Array]:
        """[layer, direction, timestep, unit] of each of the tensors of one text."""
        directions = self.checkpoint.manifest.directions
        chosen = [its.shown[layer][directions.index(d)] for layer in selection.layers for d in selection.directions]
        time, units = chosen[0]["hidden_state"].shape
        every_step, every_unit = len(selection.timesteps) == time, selection.units == tuple(range(units))
        out = {}
        for name in names:
            values = np.stack([of[name] for of in chosen]) if len(chosen) > 1 else chosen[0][name]
            values = values.reshape(len(selection.layers), len(selection.directions), time, units)
            if not every_step:
                values = values[:, :, list(selection.timesteps)]
            if not every_unit:
                values = values[:, :, :, list(selection.units)]
            out[name] = values
        return out

    def _certificate(self, text: Prepared, its: "Record") -> Certificate:
        worst = 0.0
        for layer, shown in enumerate(its.shown):
            for d, direction in enumerate(self.network.encoder.directions):
                at = chosen_timesteps(text.text, len(text), layer, direction)
                if layer == 0:
                    x = self.runner.embedded({kind: ids[at] for kind, ids in text.ids.items()})
                else:
                    x = its.below[layer - 1][at]
                worst = max(worst, self.runner.recurrence_error(layer, direction, x, shown[d], at))
        return Certificate(worst, self.runner.precision, self.device.type, self.runner.kernel)

    def _token_scores(self, run: Pass, row: int, length: int) -> tuple[Array, Array]:
        """(emissions, marginals), each [time, tag]."""
        assert isinstance(self.network, Tagger)
        emissions = self.runner.outputs(run)[row : row + 1, :length]
        lattice: Lattice = self.network.crf.lattice(emissions, run.lengths[row : row + 1])
        marginals = self.network.crf.text_lattice(lattice, emissions, 0, length).marginals()
        return emissions[0].cpu().numpy(), marginals.astype(np.float32)

    def _prefixes(self, text: Prepared, run: Pass, row: int) -> Prefixes:
        if not isinstance(self.network, Classifier):
            raise OptionError("prefix_predictions is for classifiers")
        if self.reads_prefixes_at_once:
            logits = self.network.head(run.top[row, : len(text)]).cpu().numpy()
        else:
            logits = np.stack([p.logits for p in self.run([text.prefix(n + 1) for n in range(len(text))])])
        scores = softmax(logits, self.checkpoint.manifest.temperature)
        best = scores.argmax(1)
        changes = np.flatnonzero(best != best[-1])
        labels = tuple(self.checkpoint.labels[k] for k in best)
        return Prefixes(labels, tuple(map(float, scores.max(1))), int(changes[-1]) + 1 if len(changes) else 0)


@dataclass(frozen=True)
class Record:
    """What a pass went through, on the host: shown [layer][direction] tensor name -> values; below: what each layer but
    the first read.

    Each [batch, time, feature], and [time, feature] of one text.
    """

    shown: list[list[dict[str, Array]]]
    below: list[Array]

    @classmethod
    def of(cls, run: Pass, activations: Activations) -> "Record":
        shown = [[{name: v.cpu().numpy() for name, v in d.items()} for d in layer] for layer in activations]
        return cls(shown, [x.cpu().numpy() for x in run.inputs[1:]])

    def text(self, row: int, length: int) -> "Record":
        shown = [[{name: v[row, :length] for name, v in d.items()} for d in layer] for layer in self.shown]
        return Record(shown, [x[row, :length] for x in self.below])


def _recording(shown: Plan | None) -> Recording:
    if shown is None:
        return "nothing"
    return "everything" if shown.inspection.preactivations else "gates"
