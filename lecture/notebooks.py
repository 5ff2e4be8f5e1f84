"""`make notebooks`: run the notebooks of examples/ against a server of ours, and write them as pages with pictures."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter

from gatescope import Client

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
PAGES = ROOT / "docs" / "examples"
_START_S = 120.0


@contextlib.contextmanager
def served(weights: Path) -> Iterator[str]:
    """The address of a server of these models, which notebooks find by GATESCOPE_URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    arguments = ["serve", "--port", str(port), "--weights", str(weights)]
    server = subprocess.Popen([sys.executable, "-m", "service", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)  # noqa: S603
    os.environ["GATESCOPE_URL"] = url
    try:
        _wait_until_ready(url)
        yield url
    finally:
        del os.environ["GATESCOPE_URL"]
        server.terminate()
        server.wait(30)


def _wait_until_ready(url: str) -> None:
    end = time.monotonic() + _START_S
    with Client(url) as client:
        while time.monotonic() < end:
            with contextlib.suppress(Exception):
                if client.ready().ready:
                    return
            time.sleep(0.2)
    raise TimeoutError(f"{url} was not ready in {_START_S:.0f} s")


def run(path: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs.

    Raises: nbclient.exceptions.CellExecutionError where a cell fails.
    """
    notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT)}}).execute()
    return notebook


def write_page(path: Path, notebook: nbformat.NotebookNode) -> Path:
    """docs/examples/NAME.md and its pictures, of a notebook that was run."""
    exporter = MarkdownExporter()  # type: ignore[no-untyped-call]
    text, resources = exporter.from_notebook_node(notebook, {"unique_key": path.stem})
    PAGES.mkdir(exist_ok=True)
    for name, content in resources["outputs"].items():
        (PAGES / name).write_bytes(content)
    page = PAGES / f"{path.stem}.md"
    note = f"<!-- Made by `make notebooks` from examples/{path.name}. -->\n\n"
    page.write_text(note + text.replace(str(ROOT), ".").strip() + "\n", "utf-8")
    return page


def main() -> None:
    with served(ROOT / "weights"):
        for path in NOTEBOOKS:
            print(write_page(path, run(path)).relative_to(ROOT))


if __name__ == "__main__":
    main()
