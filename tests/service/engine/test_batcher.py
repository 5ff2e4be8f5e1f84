"""Which jobs run together: none starves, like lengths go together, the budget holds, and nobody's mistake is another's."""

import asyncio
import functools
import random
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from service.engine import engine as engines
from service.engine.batcher import LOOKED_AT, OLD_S, Job, Queue
from service.engine.engine import Engine


def run(scenario: Any) -> None:
    asyncio.run(asyncio.wait_for(scenario, 20))


def on_a_loop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @functools.wraps(scenario)
    def test() -> None:
        run(scenario())

    del test.__wrapped__  # type: ignore[attr-defined]  # pytest looks through it
    return test


def job(tokens: int, group: str | None = "a", submitted: float = 0.0) -> Job:
    return Job([tokens], tokens, tokens, lambda items: items, group, group, submitted, asyncio.Future())


def queue(*jobs: Job) -> Queue:
    made = Queue()
    for each in jobs:
        made.put(each)
    return made


@on_a_loop
async def test_of_one_group_as_many_as_the_budget_takes() -> None:
    jobs = [job(10) for _ in range(7)]
    waiting = queue(*jobs)
    assert waiting.take(35, now=0) == jobs[:3]
    assert waiting.take(1000, now=0) == jobs[3:]
    assert waiting.take(1000, now=0) == []


@on_a_loop
async def test_groups_never_mix_and_a_job_without_one_runs_alone() -> None:
    a, b, alone, another, more = job(1, "a"), job(1, "b"), job(1, None), job(1, None), job(1, "a")
    waiting = queue(a, b, alone, another, more)
    assert [waiting.take(100, 0) for _ in range(4)] == [[a, more], [b], [alone], [another]]


@on_a_loop
async def test_a_first_job_above_the_budget_runs_alone() -> None:
    large, small = job(500), job(1)
    waiting = queue(large, small)
    assert waiting.take(100, 0) == [large]
    assert waiting.take(100, 0) == [small]


@on_a_loop
async def test_where_not_all_fit_those_of_like_length_go_with_the_first() -> None:
    first, long, near, nearer = (
        job(20, submitted=9.99),
        job(80, submitted=9.99),
        job(25, submitted=9.99),
        job(19, submitted=9.99),
    )
    assert queue(first, long, near, nearer).take(70, now=10) == [first, nearer, near]


@on_a_loop
async def test_one_that_has_waited_too_long_goes_ahead_of_better_lengths() -> None:
    first, old, near = job(20), job(60, submitted=1), job(20, submitted=2)
    assert queue(first, old, near).take(80, now=1.5 + OLD_S) == [first, old]


@on_a_loop
async def test_what_nobody_waits_for_is_dropped_wherever_it_stands() -> None:
    jobs = [job(1) for _ in range(4)]
    jobs[0].answer.cancel()
    jobs[2].answer.set_exception(TimeoutError())
    assert queue(*jobs).take(10, 0) == [jobs[1], jobs[3]]
    jobs[2].answer.exception()


@on_a_loop
async def test_none_starves_and_all_run_once_under_any_arrivals() -> None:
    """Against arrivals at random: the first is always served, every job once, no batch above its budget."""
    dice = random.Random(3)
    waiting, left, served = Queue(), [], []
    for now in range(400):
        for _ in range(dice.randint(0, 6)):
            left.append(job(dice.randint(1, 60), dice.choice("ab"), now * 0.01))
            waiting.put(left[-1])
        if left:
            batch = waiting.take(64, now * 0.01)
            assert batch[0] is left[0]
            assert len({j.group for j in batch}) == 1
            assert sum(j.tokens for j in batch) <= 64
            left = [j for j in left if j not in batch]
            served += batch
    assert len(served) == len(set(served))
    assert len(waiting) == len(left)


@on_a_loop
async def test_a_long_queue_is_looked_at_in_part() -> None:
    jobs = [job(1) for _ in range(LOOKED_AT + 50)]
    assert queue(*jobs).take(10**6, 0) == jobs[:LOOKED_AT]


class Model:
    """Squares numbers; notes each batch and its thread. A negative number is an error of its own request."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: list[str] = []
        self.open = threading.Event()
        self.open.set()

    def run(self, items: list[int]) -> list[int]:
        self.open.wait()
        self.batches.append(items)
        self.threads.append(threading.current_thread().name)
        if any(n < 0 for n in items):
            raise ValueError(f"negative among {len(items)}")
        return [n * n for n in items]


def ask(engine: Engine, model: Model, *items: int, tokens: int = 1) -> "asyncio.Task[Any]":
    return asyncio.create_task(engine.submit_items(items, [tokens] * len(items), model.run, model, shared=True))


def test_requests_of_one_turn_share_a_batch_in_the_loop_and_each_gets_its_own() -> None:
    async def scenario() -> None:
        engine, model = Engine(1000, 5000), Model()
        answers = await asyncio.gather(ask(engine, model, 1), ask(engine, model, 2, 3), ask(engine, model, 4))
        assert [a.value for a in answers] == [[1], [4, 9], [16]]
        assert model.batches == [[1, 2, 3, 4]]
        assert model.threads == ["MainThread"]

    run(scenario())


def test_what_is_predicted_to_be_long_never_runs_in_the_loop() -> None:
    async def scenario() -> None:
        engine, model = Engine(10**6, 5000), Model()
        await ask(engine, model, 1, tokens=10_000)
        assert model.threads[0].startswith("model")
        engine.close()

    run(scenario())


def test_while_the_model_is_at_work_what_arrives_waits_and_then_runs_together() -> None:
    async def scenario() -> None:
        engine, model = Engine(10**6, 5000), Model()
        model.open.clear()
        first = ask(engine, model, 1, tokens=10_000)
        await asyncio.sleep(0.01)
        later = [ask(engine, model, n) for n in range(2, 6)]
        await asyncio.sleep(0.01)
        assert model.batches == []
        model.open.set()
        assert [(await task).value for task in (first, *later)] == [[1], [4], [9], [16], [25]]
        assert model.batches == [[1], [2, 3, 4, 5]]

    run(scenario())


def test_a_bad_item_hurts_no_companion() -> None:
    async def scenario() -> None:
        engine, model = Engine(1000, 5000), Model()
        good, bad, fine = ask(engine, model, 2), ask(engine, model, 3, -1), ask(engine, model, 4)
        assert (await good).value == [4]
        assert (await fine).value == [16]
        with pytest.raises(ValueError, match="negative among 2"):
            await bad
        assert engine.waiting_tokens == 0

    run(scenario())


def test_cancelled_waiter_leaves_companions_answered() -> None:
    async def scenario() -> None:
        engine, model = Engine(10**6, 5000), Model()
        model.open.clear()
        running = ask(engine, model, 1, tokens=10_000)
        await asyncio.sleep(0.01)
        leaves, stays, too = ask(engine, model, 2), ask(engine, model, 3), ask(engine, model, 4)
        await asyncio.sleep(0.01)
        leaves.cancel()
        running.cancel()  # it runs already: the batch goes on without a client
        await asyncio.wait([leaves, running])
        model.open.set()
        assert ((await stays).value, (await too).value) == ([9], [16])
        assert model.batches == [[1], [3, 4]]
        await engine.drain()
        assert engine.waiting_tokens == 0

    run(scenario())


def test_one_cancelled_in_the_same_batch_after_it_was_taken_leaves_the_others_answered() -> None:
    async def scenario() -> None:
        engine, model = Engine(10**6, 5000), Model()
        model.open.clear()
        tasks = [ask(engine, model, n, tokens=1000) for n in range(1, 4)]
        await asyncio.sleep(0.01)
        tasks[1].cancel()
        await asyncio.wait([tasks[1]])
        model.open.set()
        assert [(await tasks[0]).value, (await tasks[2]).value] == [[1], [9]]
        await engine.drain()
        assert engine.waiting_tokens == 0

    run(scenario())


def test_the_loop_answers_others_between_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of short requests is served in slices: a timer that is due fires before the flood is over."""
    monkeypatch.setattr(engines, "TICK_S", 0.0005)

    async def scenario() -> None:
        engine, fired = Engine(10**6, 5000), []

        def slow(items: list[int]) -> list[int]:
            time.sleep(0.0002 * len(items))
            return items

        flood = [asyncio.create_task(engine.submit_items([n], [1], slow, "slow", True)) for n in range(200)]
        asyncio.get_running_loop().call_later(0.005, lambda: fired.append(sum(t.done() for t in flood)))
        await asyncio.gather(*flood)
        assert fired
        assert fired[0] < 200

    run(scenario())
