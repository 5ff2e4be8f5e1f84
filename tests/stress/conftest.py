"""Servers that several short forms share, each with processes of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .overload import QUEUE_TOKENS
from .servers import Server, server, tiny_models


@pytest.fixture(scope="module")
def own_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that a test may change, and has to restore."""
    return tiny_models(tmp_path_factory.mktemp("own") / "weights")


@pytest.fixture(scope="module")
def plain(weights_dir: Path) -> Iterator[Server]:
    with server(weights_dir, max_queue_tokens=QUEUE_TOKENS) as started:
        yield started


@pytest.fixture(scope="module")
def changing(own_models: Path) -> Iterator[Server]:
    with server(own_models, model_control="explicit") as started:
        yield started


@pytest.fixture(scope="module")
def two_workers(own_models: Path) -> Iterator[Server]:
    with server(own_models, model_control="explicit", workers=2) as started:
        yield started
