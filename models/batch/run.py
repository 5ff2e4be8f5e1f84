"""A file of texts -> a file of answers: cut into blocks, answered by an engine, joined in the order of the input."""

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..checkpoint.checkpoint import MANIFEST
from ..errors import BatchError
from ..inference.predictor import Predictor
from .blocks import Job
from .columns import columns_of
from .journal import Parts, begun, keep_name, opened, remove, write_whole
from .local import Engine
from .outputs import OUTPUTS, Naming
from .sources import BLOCK_ROWS, Block, open_source

_FORMAT = 1  # of parts and records: another one cannot be gone on with

# (rows of the file, rows that are done already) -> a context that is told of rows as they are done
Progress = Callable[[int, int], AbstractContextManager[Callable[[int], object]]]


@dataclass(frozen=True)
class Request:
    """One batch as it was asked for. asked: names of columns, none for the task's defaults."""

    input: Path
    output: Path
    model: Path
    asked: tuple[str, ...] = ()
    text_column: str = "text"
    naming: Naming = field(default_factory=Naming)
    block_rows: int = BLOCK_ROWS
    replace: bool = False

    @property
    def folder(self) -> Path:
        """Where a run keeps what is done, until it is whole."""
        return self.output.with_name(f"{self.output.name}.batch")


@dataclass(frozen=True)
class Outcome:
    """rows of the output; errors: how many of them have no answer; resumed: how many were done by an earlier run."""

    rows: int
    errors: int
    resumed: int


def run(request: Request, predictor: Predictor, engine: Engine, progress: Progress) -> Outcome:
    """Answers what an earlier run of the same request has not, and puts the whole in place of the output.

    Raises: BatchError, BadRow, OptionError, ActivationsUnavailable: before any work, where the request cannot be done.
    """
    check_output(request)
    columns = columns_of(request.asked, predictor.shape)
    source = open_source(request.input, request.text_column, request.naming.names(columns.columns), request.block_rows)
    blocks = list(source.blocks())
    parts = Parts(request.folder, request.output.suffix)
    with opened(request.folder, _facts(request, predictor, columns.names, blocks)):
        done = {block.index: report for block in blocks if (report := parts.report(block.index))}
        pending = [block for block in blocks if block.index not in done]
        resumed = sum(report.rows for report in done.values())
        job = Job(source, request.model, request.asked, request.naming, parts)
        with engine(job, pending) as reports, progress(sum(block.rows for block in blocks), resumed) as advance:
            for report in reports:
                done[report.index] = report
                advance(report.rows)
        ordered = [done[block.index] for block in blocks]
        output = OUTPUTS[request.output.suffix]
        write_whole(request.output, lambda file: output.join(file, parts, ordered), beside=request.folder)
        keep_name(request.output)
        remove(request.folder)
    return Outcome(sum(r.rows for r in ordered), sum(r.errors for r in ordered), resumed)


def check_output(request: Request) -> None:
    """Raises: BatchError where the output has no name that is known, is there, has no folder or lacks an extra."""
    output = request.output
    if output.suffix not in OUTPUTS:
        raise BatchError(f"OUT is {str(output)!r}: a name that ends in {' or '.join(OUTPUTS)} is allowed")
    OUTPUTS[output.suffix].check()
    if output.is_dir() or not output.parent.is_dir():
        found = "a folder" if output.is_dir() else f"and there is no folder {str(output.parent)!r}"
        raise BatchError(f"OUT is {str(output)!r}, {found}: name a file in a folder that is there")
    if output.exists() and not request.replace and not begun(request.folder):
        raise BatchError(f"{output} is there already: --replace writes it anew, or name another OUT")
    if output.exists() and output.samefile(request.input):
        raise BatchError(f"IN and OUT are the same file, {output}: name another OUT")


def _facts(request: Request, predictor: Predictor, columns: tuple[str, ...], blocks: list[Block]) -> dict[str, Any]:
    """What makes two runs the same one; the names are those that a refusal says."""
    with request.input.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "format of the run": _FORMAT,
        "input": {"sha256": digest, "blocks": len(blocks)},
        "model": hashlib.sha256((request.model / MANIFEST).read_bytes()).hexdigest(),
        "kernel": predictor.runner.kernel,
        "--add": list(columns),
        "--text-column": request.text_column,
        "--prefix": request.naming.prefix,
        "--decimals": request.naming.decimals,
        "--block-rows": request.block_rows,
    }
