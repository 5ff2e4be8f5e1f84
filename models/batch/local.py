"""The blocks of a run on this machine's cores: processes that share nothing but the weights' memory."""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from ..errors import BatchError
from ..inference.predictor import Predictor
from .blocks import BlockWorker, Job
from .journal import BlockReport
from .sources import Block

# what runs the blocks: entered, it gives their reports as they are done, in any order
Engine = Callable[[Job, Sequence[Block]], AbstractContextManager[Iterator[BlockReport]]]

_METHOD = "fork" if sys.platform == "linux" else "spawn"  # a fork shares the weights and does not import torch again


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def local_engine(predictor: Predictor, processes: int) -> Engine:
    """predictor: the job's model, loaded. One process: this one."""

    @contextlib.contextmanager
    def engine(job: Job, blocks: Sequence[Block]) -> Iterator[Iterator[BlockReport]]:
        count = min(processes, len(blocks))
        if count < 2:
            yield map(BlockWorker(job, predictor), blocks)
            return
        with _workers(job, predictor, count) as workers:
            yield _reports(workers, blocks)

    return engine


@contextlib.contextmanager
def _workers(job: Job, predictor: Predictor, count: int) -> Iterator[dict[Connection, BaseProcess]]:
    context: Any = multiprocessing.get_context(_METHOD)
    workers: dict[Connection, BaseProcess] = {}
    inherited = predictor if _METHOD == "fork" else None
    try:
        for _ in range(count):
            own, other = context.Pipe()
            process = context.Process(target=_work, args=(other, inherited), daemon=True)
            process.start()
            other.close()
            own.send(job)  # also to a fork: a process opens its own files
            workers[own] = process
        yield workers
    finally:
        for process in workers.values():
            process.terminate()
        for process in workers.values():
            process.join()


def _reports(workers: dict[Connection, BaseProcess], blocks: Sequence[Block]) -> Iterator[BlockReport]:
    """Each worker has one block at a time, and gets the next when it has answered.

    Raises: BatchError where a worker is gone; what a worker raised.
    """
    pending = iter(blocks)
    busy = set()
    for connection in workers:
        connection.send(next(pending))
        busy.add(connection)
    while busy:
        for ready in wait(list(busy)):
            assert isinstance(ready, Connection)
            try:
                result = ready.recv()
            except (EOFError, OSError) as error:
                workers[ready].join()
                raise BatchError(
                    f"a worker process ended with status {workers[ready].exitcode}, for want of memory perhaps: the "
                    "same command goes on, with fewer --processes if need be"
                ) from error
            if isinstance(result, Exception):
                raise result
            if (block := next(pending, None)) is None:
                busy.discard(ready)
            else:
                ready.send(block)
            yield result


def _work(connection: Connection, predictor: Predictor | None) -> None:
    """A worker's life: it ends with the process that started it, whatever became of that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a person's ^C reaches all; the parent ends the others
    parent = multiprocessing.parent_process()
    assert parent is not None
    waited_for: list[Any] = [connection, parent.sentinel]
    try:
        worker = BlockWorker(connection.recv(), predictor)
        while parent.sentinel not in wait(waited_for):
            connection.send(worker(connection.recv()))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:
        with contextlib.suppress(OSError):
            connection.send(error)
