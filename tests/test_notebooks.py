"""The notebooks run from the first cell to the last, hold no outputs, and each has its page."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from lecture.notebooks import NOTEBOOKS, PAGES, ROOT, run, served

_ASKED = (
    "en-sentiment-lstm",
    "zh-sentiment-lstm",
    "zh-sentiment-rnn",
)  # by the notebooks; loading the others takes time for nothing


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("weights")
    for name in _ASKED:
        (folder / name).symlink_to(ROOT / "weights" / name)
    with served(folder) as url:
        yield url


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_the_first_cell_to_the_last(path: Path, server: str) -> None:
    cells = [cell for cell in run(path).cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    assert sum(bool(cell.outputs) for cell in cells) >= 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs_and_has_its_page(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)
    page = (PAGES / f"{path.stem}.md").read_text("utf-8")
    for cell in cells:
        assert cell.source in page
    pictures = [line.split("(")[1].rstrip(")") for line in page.splitlines() if line.startswith("![png]")]
    assert all((PAGES / name).stat().st_size > 1000 for name in pictures)
