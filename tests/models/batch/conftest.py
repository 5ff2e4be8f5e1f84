"""A batch over a file of rows, as a test wants it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.batch.run import Request
from tests.models.batch.files import WRITERS, Row
from tests.models.batch.requests import rows_for


@pytest.fixture
def request_of(tmp_path: Path, weights_dir: Path) -> Callable[..., Request]:
    def make(model: str = "tiny-zh-lstm", rows: list[Row] | None = None, **changes: Any) -> Request:
        suffix = changes.pop("suffix", ".jsonl")
        path = WRITERS[suffix](tmp_path / f"in{suffix}", rows or rows_for(model))
        request = Request(path, tmp_path / "out.jsonl", weights_dir / model, block_rows=20)
        return replace(request, **changes)

    return make
