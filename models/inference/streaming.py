r"""A text that arrives in chunks: after each, the answer of the whole text so far, in O(new tokens).

A forward-only network's past is its state: h and c of each layer, for a pooled classifier the sum and the maximum of
the states too, for a tagger the columns of its decoder (`models.inference.filtering`). Tokens that later text may still
change (`models.text.chunks`) are run from the last settled state and run anew with the next chunk. Many streams run as
one batch. On the fused kernel every state, logit and emission is bit for bit the whole text's.
"""

from bisect import bisect_left
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import OptionError, TooManyCharacters, TooManyTokens
from ..network.constraints import barred
from ..network.crf import FORBIDDEN
from ..recurrence.layer import State
from ..runtime.grouping import similar_lengths
from ..runtime.runner import Recording
from ..text.chunks import Chunk, read_chunk
from ..text.features import batch_ids, text_ids
from ..text.tokenizers import KIND_FORMS, READINGS
from ..text.vocabulary import UNKNOWN
from .decoding import Scores
from .filtering import Column, Columns, Excerpt, Reading, StreamEntity, TagFilter, TaggedTokens
from .inspection import Inspection, Plan, plan
from .prediction import Array
from .predictor import Predictor, Record
from .shown import ShownTurn
from .stream_state import Layout, StreamState
from .turns import Answer, Step, Turn


@dataclass(frozen=True)
class _Batch:
    """What a pass over the chunks of several turns left behind.

    rows: of each turn, None where its chunk has no token; hidden and cell: float32 [layer][row, time, unit], cell empty
    for an RNN; record: every tensor; embedding: x_t [row, time, feature], where it is shown.
    """

    rows: list[int | None]
    hidden: list[Array]
    cell: list[Array]
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
        if len(chunk.tokens) > m.max_tokens:
            new = len(chunk.tokens) - chunk.context - _in_tail(state, chunk)
            if new > m.max_tokens:
                raise TooManyTokens(new, m.max_tokens)
        tokens, ids = chunk.tokens, text_ids(self.features, chunk.tokens)
        if chunk.context:
            tokens, ids = tokens[chunk.context :], {kind: rows[chunk.context :] for kind, rows in ids.items()}
        names = zip(ids["token"].ravel().tolist(), tokens.forms, strict=True)
        known = [(row != UNKNOWN) - (form in KIND_FORMS) for row, form in names]
        return Turn(state, chunk, tokens, ids, known, shown, after)

    @torch.inference_mode()
    def run(self, turns: Sequence[Turn]) -> list[Step]:
        """The steps of these streams, each of another stream; those of similar length run in one batch."""
        steps: dict[int, Step] = {}
        for indices in similar_lengths([len(t) for t in turns], self.predictor.batch_tokens // 8):
            batch = [turns[i] for i in indices]
            steps.update(zip(indices, self._batch(batch), strict=True))
        return [steps[i] for i in range(len(turns))]

    def _batch(self, turns: list[Turn]) -> list[Step]:
        batch = self._run(turns) if any(map(len, turns)) else None
        states = self._after(turns, batch)
        rows = [self._read(turn, n, batch) for n, turn in enumerate(turns)]
        outputs = self._head(np.concatenate(rows))
        scores = [] if self.filter else self.predictor.decoder.ranked(outputs)
        ends = np.cumsum([len(read) for read in rows])
        parts = [slice(end - len(read), end) for read, end in zip(rows, ends, strict=True)]
        streams = list(enumerate(zip(turns, states, parts, strict=True)))
        if self.filter:
            return self._tagged_together([self._tagged(t, s, outputs[part], n, batch) for n, (t, s, part) in streams])
        return [self._classified(t, s, outputs[part], scores[part], n, batch) for n, (t, s, part) in streams]

    def _run(self, turns: list[Turn]) -> _Batch:
        """The recurrences over the chunks, each from its stream's state."""
        reading = [turn for turn in turns if len(turn)]
        lengths = torch.from_numpy(np.array([len(t) for t in reading]))
        options = [t.plan.inspection for t in reading if t.plan]
        recording: Recording = "everything" if any(o.preactivations for o in options) else "gates"
        ids = batch_ids([t.ids for t in reading])
        run, activations = self.predictor.runner.run(ids, lengths, recording, _initial(reading))
        assert activations is not None
        record = Record.from_pass(run, activations)
        layers = [layer[0] for layer in record.activations]
        hidden = [layer["hidden_state"] for layer in layers]
        cell = [layer["cell_state"] for layer in layers if "cell_state" in layer]
        embedding = run.inputs[0].cpu().numpy() if any(o.embedding for o in options) else None
        numbers = iter(range(len(reading)))
        return _Batch([next(numbers) if len(turn) else None for turn in turns], hidden, cell, record, embedding)

    def _after(self, turns: list[Turn], batch: _Batch | None) -> list[StreamState]:
        """The states after the settled tokens; a pooled classifier's sums and a tagger's window are not yet moved."""
        settled = [turn.chunk.settled for turn in turns]
        moved = [n for n, count in enumerate(settled) if count]
        hidden, cell = [turn.state.hidden for turn in turns], [turn.state.cell for turn in turns]
        if batch and moved:
            rows, last = [batch.rows[n] or 0 for n in moved], [settled[n] - 1 for n in moved]
            hidden_rows = np.stack([h[rows, last] for h in batch.hidden], axis=1)
            cell_rows = np.stack([c[rows, last] for c in batch.cell], axis=1) if batch.cell else None
            for place, n in enumerate(moved):
                hidden[n] = hidden_rows[place]
                if cell_rows is not None:
                    cell[n] = cell_rows[place]
        return [
            StreamState(
                turn.chunk.position,
                turn.state.timestep + count,
                turn.state.known + sum(turn.known[:count]),
                h,
                c,
                *self._pooled(turn, n, batch)[1:],
                turn.state.window,
            )
            for n, (turn, count, h, c) in enumerate(zip(turns, settled, hidden, cell, strict=True))
        ]

    def _head(self, rows: Array) -> Array:
        """Logits or emissions: [row, label or tag]."""
        if not len(rows):
            return np.zeros((0, self.predictor.network.architecture.outputs), np.float32)
        out: Array = self.predictor.runner.head(torch.from_numpy(np.ascontiguousarray(rows))).cpu().numpy()
        return out

    def _read(self, turn: Turn, n: int, batch: _Batch | None) -> Array:
        """The head's inputs for the answers wanted, one a row."""
        top = self._top(turn, n, batch)
        if self.filter:
            return top
        pooled = self._pooled(turn, n, batch)[0]
        if pooled is not None:
            return pooled[turn.wanted]
        if turn.after is None and len(top):
            return top[-1:]
        return np.concatenate([turn.state.hidden[-1:], top])[turn.wanted]

    def _top(self, turn: Turn, n: int, batch: _Batch | None) -> Array:
        """The top layer's states of the chunk's tokens: [time, unit]."""
        row = batch.rows[n] if batch else None
        return turn.state.hidden[:0] if batch is None or row is None else batch.hidden[-1][row, : len(turn)]

    def _pooled(self, turn: Turn, n: int, batch: _Batch | None) -> tuple[Array | None, Array | None, Array | None]:
        """Mean and maximum after each number of the chunk's tokens, and sum and maximum after the settled ones."""
        total, peak = turn.state.total, turn.state.peak
        if total is None or peak is None:
            return None, None, None
        top, settled = self._top(turn, n, batch), turn.chunk.settled
        totals = np.add.accumulate(np.concatenate([total[None], top]))  # one after the other, as the kernel sums
        peaks = np.maximum.accumulate(np.concatenate([peak[None], top]))
        counts = np.arange(turn.state.timestep, turn.state.timestep + len(totals)).astype(np.float32)[:, None]
        features = np.concatenate([totals / np.maximum(counts, 1), peaks], axis=1)
        return features, totals[settled].copy(), peaks[settled].copy()

    def _classified(
        self, turn: Turn, after: StreamState, logits: Array, scores: list[Scores], n: int, batch: _Batch | None
    ) -> Step:
        length = len(turn)
        first = length + 1 - len(logits)  # the chunk's tokens up to the first answer
        shown = self._shown(turn, n, batch)
        answers = [
            Answer(
                turn.state.timestep + read,
                turn.known_fraction(read),
                logits[read - first],
                scores=scores[read - first],
                inside=shown.inside(turn.first_shown(read), read) if shown and read else None,
            )
            for read in range(first, length + 1)
        ]
        position = turn.state.position
        return Step(after, turn, answers, Excerpt(turn.chunk.text, position.offset, position.utf16))

    def _tagged(
        self, turn: Turn, after: StreamState, emissions: Array, row: int, batch: _Batch | None
    ) -> Generator[Reading, Columns, Step]:
        """Yields what it has to read, is sent its columns, and returns the step: see `_tagged_together`.

        A tagger's window moves with each settled token.
        """
        before = turn.state.window
        assert before is not None
        assert self.filter is not None
        excerpt = Excerpt(before.excerpt.text + turn.chunk.text, before.excerpt.offset, before.excerpt.utf16)
        tokens, settled, tail = self._scored(turn, emissions), turn.chunk.settled, after.position.offset

        shown = self._shown(turn, row, batch)
        scored = shown is not None and shown.plan.inspection.token_scores

        def answer(n: int, entities: list[StreamEntity], marginals: Column | None) -> Answer:
            """After n tokens."""
            first = turn.first_shown(n)
            inside = None
            if shown and n:
                own = emissions[first:n] if scored else None
                last = None if marginals is None else marginals[first - n :].astype(np.float32)
                inside = shown.inside(first, n, own, last)
            timestep = turn.state.timestep + n
            return Answer(timestep, turn.known_fraction(n), emissions[first:n], entities=tuple(entities), inside=inside)

        if turn.after is None:
            reading = Reading(before, tokens)
            columns = yield reading
            entities, window = self.filter.read(reading, columns, excerpt, settled, tail)
            marginals = self.filter.marginals(reading, columns) if scored and len(turn) else None
            answers = [answer(len(turn), entities, marginals)] if turn.state.timestep + len(turn) else []
            return Step(after._replace(window=window), turn, answers, excerpt)
        answers, window = [], before
        final: list[StreamEntity] = []  # given with the next answer, where they became final at a token without one
        for n in range(1, len(turn) + 1):
            if n > settled and n <= turn.after:
                continue
            reading = Reading(window, tokens[min(n - 1, settled) : n])
            columns = yield reading
            stays = n <= settled
            end = tokens.starts[n] if n < settled else tail
            entities, moved = self.filter.read(reading, columns, excerpt, int(stays), end)
            window = moved if stays else window
            if n > turn.after:
                marginals = self.filter.marginals(reading, columns) if scored else None
                answers.append(answer(n, [*final, *entities], marginals))
                final = []
            else:
                final += [e for e in entities if e.final]
        if final:
            reading = Reading(window, tokens[settled:])
            columns = yield reading
            entities, _ = self.filter.read(reading, columns, excerpt, 0, tail)
            marginals = self.filter.marginals(reading, columns) if scored else None
            answers.append(answer(len(turn), [*final, *entities], marginals))
        if not settled:
            reading = Reading(window, tokens[:0])
            columns = yield reading
            _, window = self.filter.read(reading, columns, excerpt, 0, tail)
        return Step(after._replace(window=window), turn, answers, excerpt)

    def _tagged_together(self, streams: Sequence[Generator[Reading, Columns, Step]]) -> list[Step]:
        """The steps of these streams: what each has to read next is read for all of them at once."""
        assert self.filter is not None
        steps: dict[int, Step] = {}
        sent: dict[int, Columns | None] = dict.fromkeys(range(len(streams)))
        while sent:
            readings: dict[int, Reading] = {}
            for n, columns in sent.items():
                try:
                    readings[n] = streams[n].send(columns)  # type: ignore[arg-type]  # None begins it
                except StopIteration as end:
                    steps[n] = end.value
            sent = dict(zip(readings, self.filter.columns(list(readings.values())), strict=True)) if readings else {}
        return [steps[n] for n in range(len(streams))]

    def _shown(self, turn: Turn, n: int, batch: _Batch | None) -> ShownTurn | None:
        """What is shown of turn number n, where it asks for anything and has tokens."""
        row = batch.rows[n] if batch else None
        if turn.plan is None or batch is None or row is None:
            return None
        embedding = None if batch.embedding is None else batch.embedding[row, : len(turn)]
        return ShownTurn(self.predictor, turn, batch.record.text(row, len(turn)), embedding)

    def _scored(self, turn: Turn, emissions: Array) -> TaggedTokens:
        """The chunk's tokens as the decoder takes them: tags that a token cannot have are forbidden."""
        assert self.filter is not None
        mask = barred(turn.chunk.tokens, self.filter.tags)
        scored = emissions if mask is None else np.where(mask[turn.chunk.context :], np.float32(FORBIDDEN), emissions)
        origin = turn.chunk.origin
        starts, ends = ([place + origin for place in places] for places in (turn.tokens.starts, turn.tokens.ends))
        return TaggedTokens(starts, ends, scored)


def _in_tail(state: StreamState, chunk: Chunk) -> int:
    """How many of the chunk's tokens begin in the tail that was there before it."""
    begins = state.position.offset + len(state.position.tail) - chunk.origin
    return bisect_left(chunk.tokens.starts, begins, chunk.context) - chunk.context


def _initial(turns: list[Turn]) -> list[State]:
    """Each layer's states before the chunks: [turn, unit]."""
    hidden = torch.from_numpy(np.array([t.state.hidden for t in turns]).swapaxes(0, 1).copy())
    cells = [t.state.cell for t in turns if t.state.cell is not None]
    cell = torch.from_numpy(np.array(cells).swapaxes(0, 1).copy()) if cells else None
    return [(hidden[n], None if cell is None else cell[n]) for n in range(len(hidden))]
