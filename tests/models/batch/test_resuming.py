"""A run that ended early is gone on with by the same command, in which no row is lost or doubled, and by no other."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.batch.blocks import BlockWorker, Job, load_predictor
from models.batch.journal import BlockReport, removal
from models.batch.local import Engine, local_engine
from models.batch.outputs import Naming
from models.batch.run import Outcome, Request, run
from models.batch.sources import Block
from models.errors import BatchError
from tests.models.batch.files import json_lines, read
from tests.models.batch.requests import answered, quiet, rows_for


def interrupted(engine: Engine, after: int) -> Engine:
    """The engine, of which only some blocks come before the process seems to be gone."""

    @contextlib.contextmanager
    def some(job: Job, blocks: Sequence[Block]) -> Iterator[Iterator[BlockReport]]:
        def reports(all_reports: Iterator[BlockReport]) -> Iterator[BlockReport]:
            for n, report in enumerate(all_reports):
                if n == after:
                    raise KeyboardInterrupt
                yield report

        with engine(job, blocks) as all_reports:
            yield reports(all_reports)

    return some


def interrupt(request: Request, after: int = 3) -> None:
    predictor = load_predictor(request.model)
    with pytest.raises(KeyboardInterrupt):
        run(request, predictor, interrupted(local_engine(predictor, 1), after), quiet)
    assert not request.output.exists()


def test_a_second_run_does_only_what_the_first_did_not(
    request_of: Callable[..., Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of()
    interrupt(request)
    done: list[int] = []
    answer = BlockWorker.__call__

    def counted(worker: BlockWorker, block: Block) -> BlockReport:
        done.append(block.index)
        return answer(worker, block)

    monkeypatch.setattr(BlockWorker, "__call__", counted)
    assert answered(request) == Outcome(137, 0, 80)  # 4 blocks of 20 were written, the last without its report
    assert done == [4, 5, 6]
    assert [row["id"] for row in read(request.output)] == list(range(137))
    assert not request.folder.exists()


def test_a_part_that_was_damaged_is_done_again(request_of: Callable[..., Request]) -> None:
    request = request_of()
    interrupt(request)
    (request.folder / "00000000.jsonl").write_bytes(b"half")
    (request.folder / "00000001.json").write_bytes(b"{")
    (request.folder / "00000002.jsonl").unlink()
    assert answered(request) == Outcome(137, 0, 20)
    assert [row["id"] for row in read(request.output)] == list(range(137))


@pytest.mark.parametrize("removed", [0, 1, 7, 10, 14])  # of the 7 records and their 7 parts
def test_a_run_killed_while_it_removed_its_folder_is_ended_by_the_same_and_by_no_other(
    request_of: Callable[..., Request], monkeypatch: pytest.MonkeyPatch, removed: int
) -> None:
    def killed(folder: Path) -> None:
        for path in removal(folder)[:removed]:
            path.unlink()
        raise KeyboardInterrupt

    request = request_of()
    with monkeypatch.context() as patch:
        patch.setattr("models.batch.run.remove", killed)
        with pytest.raises(KeyboardInterrupt):
            answered(request)
    whole = request.output.read_bytes()
    with pytest.raises(BatchError, match="begun with another --decimals"):
        answered(replace(request, naming=Naming(decimals=3)))
    assert request.output.read_bytes() == whole
    assert answered(request).rows == 137
    assert request.output.read_bytes() == whole
    assert not request.folder.exists()


def test_an_output_is_kept_where_only_an_empty_folder_is_beside_it(request_of: Callable[..., Request]) -> None:
    """Killed at the removal's last step, a run has left no word of what it was."""
    request = request_of()
    answered(request)
    request.folder.mkdir()
    with pytest.raises(BatchError, match="is there already: --replace"):
        answered(replace(request, naming=Naming(decimals=3)))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"asked": ("labels",)}, "--add"),
        ({"naming": Naming("my_")}, "--prefix"),
        ({"naming": Naming(decimals=3)}, "--decimals"),
        ({"block_rows": 21}, "--block-rows"),
        ({"model": "tiny-zh-rnn"}, "model"),
        ({"rows": 136}, "input"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_run_is_not_gone_on_with_under_other_options(
    request_of: Callable[..., Request], weights_dir: Path, changes: dict[str, Any], named: str
) -> None:
    request = request_of()
    interrupt(request)
    if "rows" in changes:
        json_lines(request.input, rows_for("tiny-zh-lstm", changes.pop("rows")))
    if "model" in changes:
        changes["model"] = weights_dir / changes["model"]
    with pytest.raises(BatchError, match=rf"begun with another (input and another )?{named}") as refused:
        answered(replace(request, **changes))
    assert len(str(refused.value).splitlines()) == 1
    assert not request.output.exists()


def test_one_process_at_a_time_writes_an_output(
    request_of: Callable[..., Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.batch.journal._PATIENCE_S", 0)
    request = request_of()
    predictor = load_predictor(request.model)

    @contextlib.contextmanager
    def second_run(job: Job, blocks: Sequence[Block]) -> Iterator[Iterator[BlockReport]]:
        with pytest.raises(BatchError, match="another run writes to"):
            answered(request)
        yield map(BlockWorker(job, predictor), blocks)

    assert run(request, predictor, second_run, quiet).rows == 137


def test_a_worker_that_is_gone_ends_the_run_in_words_and_costs_no_row(
    request_of: Callable[..., Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of()
    answer, parent = BlockWorker.__call__, os.getpid()

    def killed(worker: BlockWorker, block: Block) -> BlockReport:
        if block.index == 4 and os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer(worker, block)

    monkeypatch.setattr(BlockWorker, "__call__", killed)
    with pytest.raises(BatchError, match="a worker process ended with status -9"):
        answered(request, processes=2)
    monkeypatch.undo()
    assert answered(request, processes=2).rows == 137
    assert [row["id"] for row in read(request.output)] == list(range(137))


def test_what_a_worker_cannot_do_is_said_by_the_run(
    request_of: Callable[..., Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(worker: BlockWorker, block: Block) -> BlockReport:
        raise OSError(28, "No space left on device", "out.jsonl")

    monkeypatch.setattr(BlockWorker, "__call__", full)
    with pytest.raises(OSError, match="No space left"):
        answered(request_of(), processes=2)
