"""Steps that the routes share: texts -> tokens -> the model."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request

from models.inference.inspection import Plan
from models.inference.prediction import Prediction, Prepared
from models.inference.predictor import Predictor

from ..engine.engine import Done
from ..engine.terms import Terms
from ..errors import BatchTooLarge
from ..exchange import exchange_of
from ..state import State, state_of, terms_of

T = TypeVar("T")
OFF_THE_LOOP = 20_000  # values; larger answers are written off the event loop: about 2 ms of work
_CHARACTERS = 2_000  # longer texts are tokenised off the event loop


async def prepare(state: State, predictor: Predictor, texts: list[str]) -> list[Prepared]:
    """Where the queue is full nothing is read: that would take the time in which others are answered.

    Raises: BatchTooLarge, Overloaded, EmptyText, TooManyTokens, TooManyCharacters.
    """
    settings = state.settings
    if len(texts) > settings.max_batch_texts:
        raise BatchTooLarge(len(texts), settings.max_batch_texts, "texts", "GATESCOPE_MAX_BATCH_TEXTS")
    single, characters = len(texts) == 1, sum(map(len, texts))
    if characters > settings.max_request_characters:
        raise BatchTooLarge(
            characters, settings.max_request_characters, "characters", "GATESCOPE_MAX_REQUEST_CHARACTERS"
        )

    def work() -> list[Prepared]:
        return [predictor.prepare(text, None if single else i) for i, text in enumerate(texts)]

    name = predictor.checkpoint.manifest.name
    expected = state.readings.expected(name, characters)
    state.engine.expect(expected)
    if characters > _CHARACTERS:
        with state.engine.reading(expected):
            prepared = await asyncio.to_thread(work)
    else:
        prepared = work()
    tokens = sum(map(len, prepared))
    state.readings.learn(name, characters, tokens)
    if tokens > settings.max_request_tokens:
        raise BatchTooLarge(tokens, settings.max_request_tokens, "tokens", "GATESCOPE_MAX_REQUEST_TOKENS")
    return prepared


async def predicted(
    request: Request,
    predictor: Predictor,
    texts: list[Prepared],
    costs: list[int],
    shown: Plan | None,
    terms: Terms | None = None,
) -> Done[list[Prediction]]:
    """Plain predictions share batches with other requests; inspections run alone.

    terms: by default the request's.
    Raises: as `on_model_thread`.
    """
    state = state_of(request)
    terms = terms or terms_of(request, state.settings.deadline_ms)

    plain = shown is None
    run, pace = (
        (predictor.run, predictor) if plain else (lambda items: predictor.run(items, shown), (predictor, "inspect"))
    )
    statistics, began = state.statistics[predictor.checkpoint.manifest.name], time.perf_counter()
    try:
        done = await state.engine.submit_items(texts, costs, run, pace, shared=plain, terms=terms)
    except BaseException:
        statistics.failed(began)
        raise
    statistics.answered(len(texts), done.queue_ms, done.compute_ms)
    exchange_of(request.scope).ran(began, done.queue_ms, done.compute_ms)
    return done


async def on_model_thread(request: Request, tokens: int, work: Callable[[], T]) -> Done[T]:
    """Raises: Overloaded, BatchTooLarge, DeadlineExceeded, ClientLeft, NotReady, InvalidRequest for an x-deadline-ms
    that is not allowed, or what `work` raises.
    """
    state, began = state_of(request), time.perf_counter()
    done = await state.engine.submit(tokens, work, terms_of(request, state.settings.deadline_ms))
    exchange_of(request.scope).ran(began, done.queue_ms, done.compute_ms)
    return done


async def written(values: int, write: Callable[[], T]) -> T:
    """The bytes of an answer: small ones are written on the event loop, large ones off it."""
    return await asyncio.to_thread(write) if values > OFF_THE_LOOP else write()
