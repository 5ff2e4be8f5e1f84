"""Admission, deadline, hand-off: nothing is lost, nobody hurts a companion."""

import asyncio
import random
import threading
import time
from typing import Any

import pytest

from service.engine.engine import WATCH_S, Engine
from service.engine.terms import Terms
from service.errors import BatchTooLarge, ClientLeft, DeadlineExceeded, NotReady, Overloaded

from .simulated import Machine


def run(scenario: Any) -> None:
    asyncio.run(asyncio.wait_for(scenario, 20))


def test_jobs_run_in_order_of_arrival_on_one_thread() -> None:
    async def scenario() -> None:
        engine, seen = Engine(1000, 5000), []

        def work(n: int) -> Any:
            return lambda: seen.append((n, threading.current_thread().name)) or n

        done = await asyncio.gather(*(engine.submit(1, work(n)) for n in range(20)))
        assert [d.value for d in done] == [n for n, _ in seen] == list(range(20))
        assert len({name for _, name in seen}) == 1
        assert all(d.queue_ms >= 0 and d.compute_ms >= 0 for d in done)

    run(scenario())


def test_beyond_the_bound_a_request_is_refused_at_once_with_a_time_to_come_back() -> None:
    async def scenario() -> None:
        engine, gate = Engine(100, 5000), threading.Event()
        waiting = [asyncio.create_task(engine.submit(50, gate.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as refused:
            await engine.submit(1, lambda: None)
        assert refused.value.retry_after_s is not None
        assert refused.value.retry_after_s > 0
        gate.set()
        await asyncio.gather(*waiting)
        assert engine.waiting_tokens == 0
        assert (await engine.submit(100, lambda: 7)).value == 7

    run(scenario())


def test_what_the_queue_could_never_hold_is_too_large_not_too_many() -> None:
    async def scenario() -> None:
        with pytest.raises(BatchTooLarge):
            await Engine(100, 5000).submit(101, lambda: None)

    run(scenario())


def test_a_passed_deadline_frees_the_client_and_what_waited_is_never_computed() -> None:
    async def scenario() -> None:
        engine, gate, computed = Engine(100, 100), threading.Event(), []
        first = asyncio.create_task(engine.submit(1, gate.wait))
        await asyncio.sleep(0)
        second = asyncio.create_task(engine.submit(1, lambda: computed.append("second")))
        for task in (first, second):
            with pytest.raises(DeadlineExceeded):
                await task
        gate.set()
        await engine.drain()
        assert computed == []
        assert engine.waiting_tokens == 0

    run(scenario())


def test_cancelled_waiter_leaves_companions_answered() -> None:
    async def scenario() -> None:
        engine, gate, computed = Engine(100, 5000), threading.Event(), []
        first = asyncio.create_task(engine.submit(1, gate.wait))
        left = asyncio.create_task(engine.submit(1, lambda: computed.append("left")))
        stays = asyncio.create_task(engine.submit(1, lambda: "answered"))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.wait([left])
        gate.set()
        await first
        assert (await stays).value == "answered"
        assert computed == []
        with pytest.raises(asyncio.CancelledError):
            await left

    run(scenario())


def test_an_error_in_one_job_reaches_its_own_client_alone() -> None:
    async def scenario() -> None:
        engine = Engine(100, 5000)

        def bad() -> None:
            raise ZeroDivisionError

        results = await asyncio.gather(engine.submit(1, bad), engine.submit(1, lambda: 2), return_exceptions=True)
        assert isinstance(results[0], ZeroDivisionError)
        assert getattr(results[1], "value", None) == 2
        assert engine.waiting_tokens == 0

    run(scenario())


def test_draining_answers_what_was_taken_and_takes_nothing_new() -> None:
    async def scenario() -> None:
        engine, gate = Engine(100, 5000), threading.Event()
        taken = [asyncio.create_task(engine.submit(1, lambda: gate.wait() and "answered")) for _ in range(3)]
        await asyncio.sleep(0)
        draining = asyncio.create_task(engine.drain())
        await asyncio.sleep(0)
        with pytest.raises(NotReady):
            await engine.submit(1, lambda: None)
        assert not draining.done()
        gate.set()
        assert [d.value for d in await asyncio.gather(*taken)] == ["answered"] * 3
        await draining

    run(scenario())


def test_a_request_of_many_items_runs_in_parts_and_a_short_one_behind_it_waits_for_one_batch() -> None:
    async def scenario() -> None:
        engine, batches, gate = Engine(10**6, 5000, batch_tokens=1000), [], threading.Event()

        def work(items: list[int]) -> list[int]:
            if not batches:
                gate.wait()
            batches.append(items)
            return [-n for n in items]

        lengths = [90 + n % 20 for n in range(256)]
        large = asyncio.create_task(engine.submit_items(lengths, lengths, work, "model", True))
        await asyncio.sleep(0.01)
        single = asyncio.create_task(engine.submit_items([7], [7], work, "model", True))
        await asyncio.sleep(0.01)
        gate.set()
        assert (await single).value == [-7]
        assert [7 in batch for batch in batches[:2]] == [False, True]
        assert (await large).value == [-n for n in lengths]  # in the order asked
        assert all(sum(batch) <= 1000 for batch in batches)
        assert engine.waiting_tokens == 0

    run(scenario())


def test_two_large_requests_take_turns() -> None:
    async def scenario() -> None:
        engine, order = Engine(10**6, 5000, batch_tokens=100), []

        def work(items: list[str]) -> list[str]:
            order.append(items[0])
            return items

        asked = [engine.submit_items([name] * 10, [100] * 10, work, name, False) for name in "ab"]
        await asyncio.gather(*asked)
        assert order == ["a", "b"] * 10

    run(scenario())


def test_a_deadline_between_two_parts_ends_the_request() -> None:
    async def scenario() -> None:
        engine, seen = Engine(10**6, 5000, batch_tokens=100), []

        def work(items: list[int]) -> list[int]:
            time.sleep(0.03)
            seen.extend(items)
            return items

        with pytest.raises(DeadlineExceeded):
            await engine.submit_items(list(range(50)), [100] * 50, work, "model", False, Terms.from_now(100))
        await engine.drain()
        assert 0 < len(seen) < 10
        assert engine.waiting_tokens == 0

    run(scenario())


@pytest.mark.parametrize("knows", [True, False], ids=["the server tells", "the server cannot tell"])
def test_the_work_of_a_client_that_left_is_dropped_where_that_is_known(knows: bool) -> None:
    async def scenario() -> None:
        engine, gate, computed = Engine(1000, 5000), threading.Event(), []
        first = asyncio.create_task(engine.submit(1, gate.wait))
        await asyncio.sleep(0)

        async def departure() -> bool:
            return knows

        left = asyncio.create_task(engine.submit(1, lambda: computed.append("left"), Terms.from_now(5000, departure)))
        await asyncio.sleep(3 * WATCH_S)
        gate.set()
        await first
        if knows:
            with pytest.raises(ClientLeft):
                await left
        else:
            await left
        assert computed == ([] if knows else ["left"])

    run(scenario())


def test_no_more_requests_wait_than_allowed_however_small() -> None:
    async def scenario() -> None:
        engine, gate = Engine(10**6, 5000, max_queue_requests=3), threading.Event()
        waiting = [asyncio.create_task(engine.submit(1, gate.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="3 requests are waiting"):
            await engine.submit(1, lambda: None)
        gate.set()
        await asyncio.gather(*waiting)
        assert (await engine.submit(1, lambda: 7)).value == 7

    run(scenario())


@pytest.mark.parametrize("seed", range(5))
def test_clients_that_wait_as_told_are_admitted(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred clients at once, room for ten: of those that come back when they were told, 95 % find a place.

    In simulated time, so that what is tested are the times that were told and not the machine; batches take up to half
    as long again as usual, or as little as half, as they do on a busy one.
    """
    machine, draw = Machine(monkeypatch), random.Random(seed)
    second_tries: list[bool] = []

    async def scenario() -> None:
        engine = Engine(1000, 60_000, batch_tokens=100)

        def work(items: list[int]) -> list[int]:
            machine.spend(0.002 * len(items) * draw.uniform(0.5, 1.5))
            return items

        for _ in range(20):  # the pace is known
            await engine.submit_items([1], [100], work, "model", True)

        async def client() -> None:
            try:
                await engine.submit_items([1], [100], work, "model", True)
            except Overloaded as refused:
                await asyncio.sleep(refused.retry_after_s or 0)
                try:
                    await engine.submit_items([1], [100], work, "model", True)
                    second_tries.append(True)
                except Overloaded:
                    second_tries.append(False)

        await asyncio.gather(*(client() for _ in range(200)))

    machine.run(scenario())
    assert len(second_tries) >= 150
    assert sum(second_tries) >= 0.95 * len(second_tries)
    assert 0.2 < machine.now < 1, "the queue was never idle for long: nobody was told to come back later than needed"
