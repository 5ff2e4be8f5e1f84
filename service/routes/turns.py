"""Steps that `step` and `stream` share: a chunk -> a turn -> the model, with turns of other streams."""

import asyncio
import time
from dataclasses import dataclass

from models.errors import NotStreamable
from models.inference.predictor import Predictor
from models.inference.stream_state import StreamState
from models.inference.streaming import Streamer
from models.inference.turns import Step, Turn

from ..engine.terms import Terms
from ..exchange import Exchange
from ..state import State
from ..wire import rendering
from ..wire.rendering import Style
from ..wire.schemas import InspectOptions, OffsetUnit
from .native import inspection

_CHARACTERS = 2_000  # longer chunks are tokenised off the event loop


@dataclass(frozen=True)
class Wanted:
    """What is asked of a chunk besides its prediction."""

    inspect: InspectOptions | None
    offset_unit: OffsetUnit

    @property
    def style(self) -> Style:
        if self.inspect is None:
            return Style(offset_unit=self.offset_unit)
        return Style(encoding=self.inspect.encoding, decimals=self.inspect.decimals, offset_unit=self.offset_unit)


def streamer_of(state: State, predictor: Predictor) -> Streamer:
    """Raises: NotStreamable, naming the models that can stream."""
    try:
        return Streamer(predictor)
    except NotStreamable as error:
        models = state.registry.predictors
        forward = sorted(n for n, p in models.items() if p.checkpoint.manifest.directions == ("forward",))
        raise NotStreamable(error.name, error.reason, forward) from None


async def prepared(state: State, streamer: Streamer, before: StreamState, text: str, wanted: Wanted) -> Turn:
    """The turn of this chunk.

    Raises: TooManyCharacters, TooManyTokens, AnswerTooLarge, and what is wrong with an inspection.
    """
    shown = streamer.plan(inspection(wanted.inspect)) if wanted.inspect else None
    if len(text) > _CHARACTERS:
        turn = await asyncio.to_thread(streamer.prepare, before, text, shown)
    else:
        turn = streamer.prepare(before, text, shown)
    rendering.check_size(values(streamer, turn), wanted.style, state.settings.max_answer_bytes)
    return turn


def values(streamer: Streamer, turn: Turn) -> int:
    """How many numbers the inspection of a turn has."""
    return streamer.predictor.values(len(turn), turn.plan) if turn.plan and len(turn) else 0


async def run(state: State, streamer: Streamer, turn: Turn, terms: Terms, exchange: Exchange | None = None) -> Step:
    """The step; it shares a batch with those of other streams.

    exchange: the request whose one step it is, for its line in the log.
    Raises: Overloaded, DeadlineExceeded, ClientLeft, NotReady.
    """
    predictor = streamer.predictor
    statistics, began = state.statistics[predictor.checkpoint.manifest.name], time.perf_counter()
    cost = max(1, len(turn))
    try:
        done = await state.engine.submit_items(
            [turn], [cost], streamer.run, (predictor, "stream"), shared=True, terms=terms
        )
    except BaseException:
        statistics.failed(began)
        raise
    statistics.answered(1, done.queue_ms, done.compute_ms)
    if exchange:
        exchange.ran(began, done.queue_ms, done.compute_ms)
    return done.value[0]
