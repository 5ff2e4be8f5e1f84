"""Admission, deadline, hand-off: nothing is lost, nobody hurts a companion."""

import asyncio
import threading
from typing import Any

import pytest

from service.engine.engine import Engine
from service.errors import BatchTooLarge, DeadlineExceeded, NotReady, Overloaded


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
