"""The client side: separate processes on core 1, and texts that never repeat in a run."""

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.checkpoint.checkpoint import load_checkpoint
from models.text.vocabulary import Vocabulary

from ..load import Connection
from ..texts import lengths, texts
from .processes import CLIENT_CORE, cores
from .table import HOST


@contextmanager
def clients(count: int, pinned: bool = True) -> Iterator[ProcessPoolExecutor]:
    """New processes, on core 1 where there are two: a load must share neither the server's core nor this memory.

    pinned False: on every core, as a server is that takes them all.
    """
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, fresh, _pin if pinned and cores() > 1 else None) as pool:
        yield pool


def _pin() -> None:
    os.sched_setaffinity(0, {CLIENT_CORE})


@dataclass(frozen=True)
class Writer:
    """Makes texts of a model's own tokens."""

    vocabulary: Vocabulary
    separator: str

    @classmethod
    def for_model(cls, model: Path) -> "Writer":
        """Raises: CheckpointError."""
        checkpoint = load_checkpoint(model)
        vocabulary = checkpoint.network.architecture.features[0].vocabulary
        assert vocabulary is not None  # the first feature is the token itself
        return cls(vocabulary, "" if checkpoint.manifest.language == "zh" else " ")

    def usual(self, count: int, seed: int) -> list[str]:
        """Texts of realistic length: 5 to 60 tokens, median 20."""
        return texts(self.vocabulary, self.separator, lengths(count, seed), seed)

    def long(self, count: int, tokens: int, seed: int) -> list[str]:
        return texts(self.vocabulary, self.separator, [tokens] * count, seed)


def one_by_one(port: int, requests: Sequence[bytes]) -> tuple[list[float], list[int]]:
    """The time of each request in ms and the bytes of its answer, on one connection.

    Raises: RuntimeError where one is not answered with 200.
    """
    times, sizes = [], []
    with Connection(HOST, port) as connection:
        for request in requests:
            start = time.perf_counter()
            status, body = connection.ask(request)
            times.append((time.perf_counter() - start) * 1000)
            sizes.append(len(body))
            if status != 200:
                raise RuntimeError(f"a request was answered with {status}: {body[:200]!r}")
    return times, sizes
