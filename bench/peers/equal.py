"""Compares the contenders' outputs; their speed is compared only where outputs are equal."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import orjson

from ..load import Connection
from .processes import Running
from .table import BF16, HOST

Scores = dict[str, float]  # by label
TOLERANCE = 1e-4  # of a score
_SAME_LABELS = 0.9  # the least share of texts with the same label in bfloat16


class OutputsDiffer(Exception):
    """A contender's answers differ from ours, so its speed cannot be compared."""


def scores_of(server: Running, texts: Sequence[str]) -> list[Scores]:
    """Each text's scores, requested concurrently so that batches form. Raises: OutputsDiffer for a status not 200."""
    with ThreadPoolExecutor(16) as threads:
        return list(threads.map(lambda text: _answer(server, text), texts))


def _answer(server: Running, text: str) -> Scores:
    with Connection(HOST, server.port) as connection:
        status, body = connection.ask(server.contender.request(server.port, text))
    if status != 200:
        raise OutputsDiffer(f"{server.contender.name} answers {status} to {text!r}: {body[:200]!r}")
    return scores(body)


def scores(body: bytes) -> Scores:
    """Label -> score from one text's answer in our format, the peers' format, or a list with one answer."""
    answer = orjson.loads(body)
    if isinstance(answer, dict):
        answer = answer.get("results", [answer])
    return {entry["label"]: entry["score"] for entry in answer[0]["labels"]}


def largest_difference(name: str, found: Sequence[Scores], ours: Sequence[Scores]) -> float:
    """The largest difference of a score, over all texts and labels.

    Raises: OutputsDiffer for another label or too large a difference; bfloat16 may differ in the labels of a few texts.
    """
    if any(a.keys() != b.keys() for a, b in zip(found, ours, strict=True)):
        raise OutputsDiffer(f"{name} has other labels than ours")
    largest = max(abs(a[label] - b[label]) for a, b in zip(found, ours, strict=True) for label in a)
    same = sum(max(a, key=a.__getitem__) == max(b, key=b.__getitem__) for a, b in zip(found, ours, strict=True))
    if same < len(ours) * (_SAME_LABELS if name == BF16 else 1):
        raise OutputsDiffer(f"{name} names the label of ours for {same} of {len(ours)} texts")
    if largest > TOLERANCE and name != BF16:
        raise OutputsDiffer(f"{name} differs from ours by {largest:.1e} in a score: {TOLERANCE:.0e} is allowed")
    return largest
