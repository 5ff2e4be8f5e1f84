"""One block of rows, read, answered and written."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch

from ..checkpoint.checkpoint import load_checkpoint
from ..errors import InputError
from ..inference.prediction import Prediction, Prepared
from ..inference.predictor import Predictor
from ..runtime.cpu.fused import FusedRunner
from ..runtime.cpu.tables import tabulate
from .columns import columns_of
from .journal import BlockReport, Parts, write_whole
from .outputs import OUTPUTS, Answered, Naming
from .sources import Block, Rows, Source

_BATCH_TOKENS = 4096  # padded; what a batch of them keeps fits a core's own cache
_TABLE_BYTES = 128_000_000  # of looked-up inputs, as a server has it by default


@dataclass(frozen=True)
class Job:
    """What a process needs to answer any block of a run.

    asked: names of columns, none for the task's defaults; parts: where parts and records go.
    """

    source: Source
    model: Path
    asked: tuple[str, ...]
    naming: Naming
    parts: Parts


def load_predictor(folder: Path) -> Predictor:
    """The model on one core: torch keeps to one thread from now on, since each core has a process of its own.

    Raises: CheckpointError.
    """
    torch.set_num_threads(1)
    predictor = Predictor(load_checkpoint(folder), torch.device("cpu"), _BATCH_TOKENS)
    if isinstance(predictor.runner, FusedRunner):
        tabulate([predictor.runner], _TABLE_BYTES)
    return predictor


class BlockWorker:
    """Answers blocks one after another, in a process of its own or in any."""

    def __init__(self, job: Job, predictor: Predictor | None = None) -> None:
        """predictor: the job's model where it is loaded already."""
        self.job, self.predictor = job, predictor or load_predictor(job.model)
        self.columns = columns_of(job.asked, self.predictor.shape)
        self.output = OUTPUTS[job.parts.suffix]

    def __call__(self, block: Block) -> BlockReport:
        """Writes the block's part and then its record."""
        answered = self.answer(self.job.source.rows(block))
        parts, kinds = self.job.parts, {}

        def write(file: BinaryIO) -> None:
            kinds.update(self.output.write(file, answered, self.columns.columns, self.job.naming))

        size = write_whole(parts.part(block.index), write)
        report = BlockReport(block.index, len(answered.predictions), len(answered.problems), size, kinds)
        parts.commit(report)
        return report

    def answer(self, rows: Rows) -> Answered:
        """The predictions in the order of the rows; texts of similar length share a batch."""
        problems, prepared = dict(rows.problems), dict[int, Prepared]()
        for n, text in enumerate(rows.texts):
            if n in problems:
                continue
            try:
                prepared[n] = self.predictor.prepare(text)
            except InputError as error:
                problems[n] = str(error)
        found = self.predictor.run(list(prepared.values()), self.columns.inspection_plan) if prepared else []
        predictions: list[Prediction | None] = [None] * len(rows.texts)
        for n, prediction in zip(prepared, found, strict=True):
            predictions[n] = prediction
        return Answered(rows, predictions, problems)
