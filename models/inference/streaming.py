r"""A text that arrives in chunks: after each, the answer of the whole text so far, in O(new tokens).

A forward-only network's past is its state: h and c of each layer, for a pooled classifier the sum and the maximum of
the states too, for a tagger the columns of its decoder (`models.inference.filtering`). Tokens that later text may still
change (`models.text.chunks`) are run from the last settled state and run anew with the next chunk. Many streams run as
one batch. On the fused kernel every state, logit and emission is bit for bit the whole text's.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from ..analysis.reductions import reduce
from ..errors import OptionError, TooManyCharacters, TooManyTokens
from ..network.constraints import barred
from ..network.crf import FORBIDDEN
from ..recurrence.certificate import Certificate, chosen_timesteps, recurrence_error
from ..recurrence.layer import State
from ..runtime.grouping import similar_lengths
from ..runtime.runner import Recording
from ..text.chunks import Chunk, read_chunk
from ..text.features import TextIds, batch_ids, text_ids
from ..text.tokenizers import KIND_FORMS, READINGS
from ..text.tokens import Tokens
from ..text.vocabulary import UNKNOWN
from .decoding import Scores
from .filtering import Excerpt, StreamEntity, TagFilter, TaggedTokens, TagWindow
from .inspection import Inspection, Plan, plan
from .prediction import Array, Inside
from .predictor import Predictor, Record
from .stream_state import Layout, StreamState


@dataclass(frozen=True)
class Turn:
    """A chunk that is ready to run.

    after: the answers wanted, those that follow so many of its tokens and more; None: the last alone.
    """

    state: StreamState
    chunk: Chunk
    tokens: Tokens
    ids: TextIds = field(repr=False)
    plan: Plan | None = None
    after: int | None = None

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class Answer:
    """What the text says up to a token.

    timestep: tokens up to here; scores: a classifier's, best first; entities: a tagger's that were not final before;
    inside: of the tokens `first` to timestep.
    """

    timestep: int
    known_fraction: float
    logits: Array = field(repr=False)
    scores: Scores | None = None
    entities: tuple[StreamEntity, ...] | None = None
    inside: Inside | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Step:
    """The stream after a turn. answers: as asked for; none where the text has no token yet.

    excerpt: the text of the tokens read in this turn, and of a tagger's open ones before them.
    """

    state: StreamState
    turn: Turn = field(repr=False)
    answers: list[Answer]
    excerpt: Excerpt = field(repr=False)

    @property
    def timestep(self) -> int:
        """The tokens so far."""
        return self.turn.state.timestep + len(self.turn)


@dataclass(frozen=True)
class _Run:
    """One turn's part of a batch. embedding: x_t [time, feature], where it is shown."""

    record: Record
    embedding: Array | None


class Streamer:
    """Runs the streams of one model, on its predictor's thread."""

    def __init__(self, predictor: Predictor) -> None:
        """Raises: NotStreamable."""
        self.predictor, self.layout = predictor, Layout(predictor)
        self.reading = READINGS[predictor.checkpoint.manifest.tokenizer]
        self.features = predictor.network.architecture.features
        crf, tags = predictor.decoder.crf, predictor.checkpoint.tags
        self.filter = TagFilter(crf, tags, self.layout.window) if crf else None

    def begin(self) -> StreamState:
        """The state before a text."""
        return self.layout.begin(self.filter.begin() if self.filter else None)

    def plan(self, inspection: Inspection) -> Plan:
        """Raises: OptionError for what a stream cannot show, and as `inspection.plan`."""
        steps = inspection.select.timesteps
        if (steps.start, steps.stop, steps.stride) != (0, None, 1):
            raise OptionError(
                "select.timesteps is set, and a stream shows the timesteps that it reads: leave it out, or send the "
                "whole text to inspect"
            )
        if inspection.prefix_predictions:
            raise OptionError(
                "prefix_predictions is not for streams, whose answers are of prefixes anyway: leave it out, and send "
                "the tokens one by one"
            )
        return plan(inspection, self.predictor.shape)

    def prepare(self, state: StreamState, text: str, shown: Plan | None = None, after: int | None = None) -> Turn:
        """Cut a chunk into tokens. Safe on any thread.

        Raises: TooManyCharacters, TooManyTokens, of one chunk.
        """
        m = self.predictor.checkpoint.manifest
        if len(text) > m.max_characters:
            raise TooManyCharacters(len(text), m.max_characters)
        chunk = read_chunk(self.reading, state.position, text)
        new = len(chunk.tokens) - chunk.context - _in_tail(state, chunk)
        if new > m.max_tokens:
            raise TooManyTokens(new, m.max_tokens)
        ids = {kind: rows[chunk.context :] for kind, rows in text_ids(self.features, chunk.tokens).items()}
        tokens = chunk.tokens[chunk.context :] if chunk.context else chunk.tokens
        return Turn(state, chunk, tokens, ids, shown, after)

    @torch.inference_mode()
    def run(self, turns: Sequence[Turn]) -> list[Step]:
        """The steps of these streams, each of another stream; those of similar length run in one batch."""
        steps: dict[int, Step] = {}
        for indices in similar_lengths([len(t) for t in turns], self.predictor.batch_tokens // 8):
            batch = [turns[i] for i in indices]
            steps.update(zip(indices, self._batch(batch), strict=True))
        return [steps[i] for i in range(len(turns))]

    def _batch(self, turns: list[Turn]) -> list[Step]:
        reading = [n for n, turn in enumerate(turns) if len(turn)]
        runs = dict(zip(reading, self._runs([turns[n] for n in reading]), strict=True)) if reading else {}
        states, rows = [], []
        for n, turn in enumerate(turns):
            state, read = self._read(turn, runs.get(n))
            states.append(state)
            rows.append(read)
        outputs = np.split(self._head(np.concatenate(rows)), np.cumsum([len(read) for read in rows])[:-1])
        finish = self._tagged if self.filter else self._classified
        return [
            finish(turn, state, output, runs.get(n))
            for n, (turn, state, output) in enumerate(zip(turns, states, outputs, strict=True))
        ]

    def _runs(self, turns: list[Turn]) -> list[_Run]:
        """The recurrences over a batch, each from its stream's state."""
        lengths = torch.from_numpy(np.array([len(t) for t in turns]))
        options = [t.plan.inspection for t in turns if t.plan]
        recording: Recording = "everything" if any(o.preactivations for o in options) else "gates"
        ids = batch_ids([t.ids for t in turns])
        run, activations = self.predictor.runner.run(ids, lengths, recording, self._initial(turns))
        assert activations is not None
        record = Record.from_pass(run, activations)
        embedded = run.inputs[0].cpu().numpy() if any(o.embedding for o in options) else None
        return [
            _Run(record.text(row, len(turn)), None if embedded is None else embedded[row, : len(turn)])
            for row, turn in enumerate(turns)
        ]

    def _initial(self, turns: list[Turn]) -> list[State]:
        hidden = torch.from_numpy(np.stack([t.state.hidden for t in turns], axis=1))
        cells = [t.state.cell for t in turns if t.state.cell is not None]
        cell = torch.from_numpy(np.stack(cells, axis=1)) if cells else None
        return [(hidden[n], None if cell is None else cell[n]) for n in range(len(hidden))]

    def _head(self, rows: Array) -> Array:
        """Logits or emissions: [row, label or tag]."""
        if not len(rows):
            return np.zeros((0, self.predictor.network.architecture.outputs), np.float32)
        out: Array = self.predictor.runner.head(torch.from_numpy(np.ascontiguousarray(rows))).cpu().numpy()
        return out

    def _read(self, turn: Turn, run: _Run | None) -> tuple[StreamState, Array]:
        """The state after the settled tokens, and the head's inputs for the answers wanted, one a row."""
        state, settled = turn.state, turn.chunk.settled
        top = run.record.activations[-1][0]["hidden_state"] if run else state.hidden[:0]
        hidden, cell = state.hidden, state.cell
        if run and settled:
            layers = [layer[0] for layer in run.record.activations]
            hidden = np.stack([layer["hidden_state"][settled - 1] for layer in layers])
            cell = None if cell is None else np.stack([layer["cell_state"][settled - 1] for layer in layers])
        known = state.known + sum(_known(turn)[:settled])
        total, peak = state.total, state.peak
        if self.filter:
            rows = top
        elif total is None or peak is None:
            rows = np.concatenate([state.hidden[-1:], top])[_wanted(turn)]
        else:
            totals = np.add.accumulate(np.concatenate([total[None], top]))  # one after the other, as the kernel sums
            peaks = np.maximum.accumulate(np.concatenate([peak[None], top]))
            counts = np.arange(state.timestep, state.timestep + len(totals)).astype(np.float32)[:, None]
            rows = np.concatenate([totals / np.maximum(counts, 1), peaks], axis=1)[_wanted(turn)]
            total, peak = totals[settled].copy(), peaks[settled].copy()
        position, timestep = turn.chunk.position, state.timestep + settled
        return StreamState(position, timestep, known, hidden, cell, total, peak, state.window), rows

    def _classified(self, turn: Turn, after: StreamState, logits: Array, run: _Run | None) -> Step:
        fractions = _known_fractions(turn)
        first = len(turn) + 1 - len(logits)  # the chunk's tokens up to the first answer
        answers = [
            Answer(
                turn.state.timestep + n,
                fractions[n],
                z,
                scores=self.predictor.decoder.scores(z),
                inside=self._inside(turn, run, n, None),
            )
            for n, z in enumerate(logits, first)
        ]
        position = turn.state.position
        return Step(after, turn, answers, Excerpt(turn.chunk.text, position.offset, position.utf16))

    def _tagged(self, turn: Turn, after: StreamState, emissions: Array, run: _Run | None) -> Step:
        """A tagger's window moves with each settled token."""
        before = turn.state.window
        assert before is not None
        assert self.filter is not None
        excerpt = Excerpt(before.excerpt.text + turn.chunk.text, before.excerpt.offset, before.excerpt.utf16)
        tokens, settled, tail = self._scored(turn, emissions), turn.chunk.settled, after.position.offset
        fractions = _known_fractions(turn)

        def answer(n: int, entities: list[StreamEntity]) -> Answer:
            shown = (emissions, before, tokens)
            inside = self._inside(turn, run, n, shown)
            first = 0 if turn.after is None else n - 1
            return Answer(
                turn.state.timestep + n, fractions[n], emissions[first:n], entities=tuple(entities), inside=inside
            )

        if turn.after is None:
            entities, window = self.filter.read(before, excerpt, tokens, settled, tail)
            answers = [answer(len(turn), entities)] if turn.state.timestep + len(turn) else []
            return Step(replace(after, window=window), turn, answers, excerpt)
        answers, window = [], before
        for n in range(1, len(turn) + 1):
            if n <= settled:
                end = tokens.starts[n] if n < settled else tail
                entities, window = self.filter.read(window, excerpt, tokens[n - 1 : n], 1, end)
            elif n > turn.after:
                entities, _ = self.filter.read(window, excerpt, tokens[settled:n], 0, tail)
            if n > turn.after:
                answers.append(answer(n, entities))
        if not settled:
            _, window = self.filter.read(window, excerpt, tokens[:0], 0, tail)
        return Step(replace(after, window=window), turn, answers, excerpt)

    def _scored(self, turn: Turn, emissions: Array) -> TaggedTokens:
        """The chunk's tokens as the decoder takes them: tags that a token cannot have are forbidden."""
        mask = barred(turn.chunk.tokens, self.predictor.checkpoint.tags)
        scored = emissions if mask is None else np.where(mask[turn.chunk.context :], np.float32(FORBIDDEN), emissions)
        origin = turn.chunk.origin
        starts, ends = ([place + origin for place in places] for places in (turn.tokens.starts, turn.tokens.ends))
        return TaggedTokens(starts, ends, scored)

    def _inside(
        self, turn: Turn, run: _Run | None, stop: int, tagged: tuple[Array, TagWindow, TaggedTokens] | None
    ) -> Inside | None:
        """What is shown of the chunk's tokens up to `stop`: of all of them, or of the last where each is answered."""
        if turn.plan is None or run is None or not stop:
            return None
        first = 0 if turn.after is None else stop - 1
        options, whole = turn.plan.inspection, turn.plan.select(len(turn))
        chosen = replace(whole, timesteps=tuple(range(first, stop)))
        phase_gates = ("forget_gate", "input_gate") if "phases" in options.reduce else ()
        names = {*turn.plan.tensors, *turn.plan.reduced, *phase_gates}
        values = self.predictor.selected(run.record, names, chosen)
        emissions = marginals = None
        if options.token_scores and tagged and self.filter:
            emissions, window, tokens = tagged
            emissions = emissions[first:stop]
            marginals = self.filter.marginals(window, tokens[:stop])[first:].astype(np.float32)
        return Inside(
            replace(chosen, timesteps=tuple(turn.state.timestep + t for t in chosen.timesteps)),
            {name: values[name] for name in turn.plan.tensors},
            self._certificate(turn, run),
            reduce({n: values[n] for n in turn.plan.reduced}, options.reduce, values) if options.reduce else None,
            None,
            run.embedding[first:stop] if options.embedding and run.embedding is not None else None,
            emissions,
            marginals,
        )

    def _certificate(self, turn: Turn, run: _Run) -> Certificate:
        """As an inspection's, of the steps of this chunk: the first of them begins at the stream's state."""
        largest, runner, state = 0.0, self.predictor.runner, turn.state
        for layer, (activations,) in enumerate(run.record.activations):
            steps = chosen_timesteps(turn.chunk.text, len(turn), layer, "forward")
            recurrence = self.predictor.network.encoder.recurrence(layer, "forward")
            x = run.record.later_inputs[layer - 1][steps] if layer else None
            if x is None:
                x = runner.embedded({kind: ids[steps] for kind, ids in turn.ids.items()})
            initial = {"hidden_state": state.hidden[layer]}
            if state.cell is not None:
                initial["cell_state"] = state.cell[layer]
            weights = recurrence.weights.to(torch.float64)
            error = recurrence_error(recurrence.cell, weights, x, activations, "forward", steps, initial)
            largest = max(largest, error)
        return Certificate(largest, runner.precision, self.predictor.device.type, runner.kernel)


def _in_tail(state: StreamState, chunk: Chunk) -> int:
    """How many of the chunk's tokens begin in the tail that was there before it."""
    begins = state.position.offset + len(state.position.tail) - chunk.origin
    return bisect_left(chunk.tokens.starts, begins, chunk.context) - chunk.context


def _wanted(turn: Turn) -> slice:
    """The rows of a classifier's answers among those of the state before the chunk and of each of its tokens."""
    if turn.after is not None:
        return slice(turn.after + 1, None)
    return slice(len(turn), None if turn.state.timestep + len(turn) else 0)


def _known(turn: Turn) -> list[int]:
    """For each token 1 if the vocabulary has it, less 1 if it is a kind's, as `Prepared.known_fraction` counts."""
    known = (turn.ids["token"][:, 0] != UNKNOWN).tolist()
    return [n - (form in KIND_FORMS) for n, form in zip(known, turn.tokens.forms, strict=True)]


def _known_fractions(turn: Turn) -> list[float]:
    """known_fraction after each number of the chunk's tokens, from none on."""
    known, count = turn.state.known, turn.state.timestep
    fractions = [max(0, known) / max(1, count)]
    for n in _known(turn):
        known, count = known + n, count + 1
        fractions.append(max(0, known) / count)
    return fractions
