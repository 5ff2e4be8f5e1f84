"""Steps that the routes share: texts -> tokens -> the model."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from models.inference.inspection import Plan
from models.inference.prediction import Prediction, Prepared
from models.inference.predictor import Predictor

from ..engine.engine import Done
from ..errors import BatchTooLarge
from ..state import State

T = TypeVar("T")
OFF_THE_LOOP = 20_000  # values; larger answers are written off the event loop: about 2 ms of work
_CHARACTERS = 2_000  # longer texts are tokenised off the event loop


async def prepare(state: State, predictor: Predictor, texts: list[str]) -> list[Prepared]:
    """Raises: BatchTooLarge, EmptyText, TooManyTokens, TooManyCharacters."""
    if len(texts) > state.settings.max_batch_texts:
        raise BatchTooLarge(len(texts), state.settings.max_batch_texts, "texts")
    single = len(texts) == 1

    def work() -> list[Prepared]:
        return [predictor.prepare(text, None if single else i) for i, text in enumerate(texts)]

    return await asyncio.to_thread(work) if sum(map(len, texts)) > _CHARACTERS else work()


async def predicted(
    state: State, predictor: Predictor, texts: list[Prepared], cost: int, shown: Plan | None
) -> Done[list[Prediction]]:
    """Plain predictions share batches with other requests; inspections run alone.

    Raises: as `on_model_thread`.
    """
    longest = max(map(len, texts))
    if shown is None:
        return await state.engine.submit_items(cost, texts, longest, predictor.run, predictor, shared=True)
    return await state.engine.submit_items(
        cost, texts, longest, lambda items: predictor.run(items, shown), (predictor, "inspect"), shared=False
    )


async def on_model_thread(state: State, tokens: int, work: Callable[[], T]) -> Done[T]:
    """Raises: Overloaded, BatchTooLarge, DeadlineExceeded, NotReady, or what `work` raises."""
    return await state.engine.submit(tokens, work)


async def written(values: int, write: Callable[[], bytes]) -> bytes:
    """The bytes of an answer: small ones are written on the event loop, large ones off it."""
    return await asyncio.to_thread(write) if values > OFF_THE_LOOP else write()
