"""The engine of `gatescope batch IN OUT --model M --engine ray`: Ray Data sends each block of rows to an actor.

An actor reads its block from IN, answers it and writes its part beside OUT: what travels is the block's place in IN, so
all nodes need IN, OUT and the model's folder under the same names, and gatescope installed. Whatever Ray does twice,
after a node has gone, writes the same part again. Parts that are done stay done, as without Ray. On a cluster:

  RAY_ADDRESS=head:6379 gatescope batch texts.jsonl answers.parquet --model zh-ner-bilstm --engine ray --processes 64
"""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import ray
import ray.data

from models.batch.blocks import BlockWorker, Job
from models.batch.journal import BlockReport
from models.batch.local import Engine
from models.batch.sources import Block


def ray_engine(actors: int) -> Engine:
    """actors: how many work at a time, on a core each."""

    @contextlib.contextmanager
    def engine(job: Job, blocks: Sequence[Block]) -> Iterator[Iterator[BlockReport]]:
        if not blocks:
            yield iter(())
            return
        ray.init(log_to_driver=False, configure_logging=False, ignore_reinit_error=True)
        logging.getLogger("ray.data").setLevel(logging.WARNING)
        ray.data.DataContext.get_current().enable_progress_bars = False

        class Actor:  # in here, so that it travels by value: the cluster need not have this file
            def __init__(self) -> None:
                self.worker = BlockWorker(job)

            def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
                return {"index": self.worker(Block(**row)).index}

        rows = [asdict(block) for block in blocks]
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows))  # one row a block: so they are shared out
        answered = dataset.map(
            Actor, compute=ray.data.ActorPoolStrategy(size=min(actors, len(blocks))), num_cpus=1
        ).iter_rows()
        try:
            yield (report for row in answered if (report := job.parts.report(row["index"])))
        finally:
            ray.shutdown()

    return engine
