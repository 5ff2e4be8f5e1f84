"""Batches to ask for in tests: texts of any length, and an engine without progress."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from models.batch.blocks import load_predictor
from models.batch.local import local_engine
from models.batch.run import Outcome, Request, run
from tests.models.batch.files import Row

ZH = "酒店不错服务很好我想吃汉堡中国女排在北京战胜了巴西队差！。"
EN = ["The", "service", "was", "good", "John", "Smith", "from", "Google", "lives", "in", "London", ",", "not", "bad"]


@contextlib.contextmanager
def quiet(rows: int, done: int) -> Iterator[Callable[[int], object]]:
    yield lambda count: None


def texts(model: str, count: int) -> list[str]:
    """Of 1 to 40 tokens, never the same twice in a row."""
    random = np.random.default_rng(7)
    source: Sequence[str] = ZH if "-zh" in model else EN
    separator = "" if "-zh" in model else " "
    return [separator.join(random.choice(list(source), random.integers(1, 40))) for _ in range(count)]


def rows_for(model: str, count: int = 137) -> list[Row]:
    return [{"id": n, "text": text} for n, text in enumerate(texts(model, count))]


def answered(request: Request, processes: int = 1) -> Outcome:
    predictor = load_predictor(request.model)
    return run(request, predictor, local_engine(predictor, processes), quiet)
