"""Metrics as Prometheus reads them, those of all worker processes added up.

prometheus_client's own way to share, a memory-mapped value for each series, takes ten times as long at every
observation. Here a worker counts in its own memory and writes a snapshot now and then; whichever worker is asked adds
the others' to its own. What a worker has shown it has also written, so that no sum ever falls, as long as the disk
is not full.
"""

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder

from .figures import Figures

log = logging.getLogger(__name__)
Snapshot = list[dict[str, Any]]  # families: name, documentation, type, samples [[name, labels, value]]
PUBLISH_S = 1.0


class Exposition:
    """folder: of the workers' snapshots, or None where one process serves alone."""

    def __init__(self, figures: Figures, folder: Path | None = None) -> None:
        self.figures, self.folder = figures, folder
        self._is_unwritable = False

    def write(self, accept: str) -> tuple[bytes, str]:
        """(content, content type), in the form of Prometheus's that the client accepts."""
        encode, content_type = choose_encoder(accept)
        own = snapshot(self.figures)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Summed([own, *self._others()]))
        self._publish(own)
        return encode(registry), content_type

    def publish(self) -> None:
        """Let the other workers see this one's metrics."""
        self._publish(snapshot(self.figures))

    def _publish(self, own: Snapshot) -> None:
        if self.folder is None:
            return
        path = self.folder / f"{os.getpid()}.json"
        part = path.with_suffix(".part")
        try:
            part.write_bytes(orjson.dumps(own))
            part.replace(path)
        except (
            OSError
        ) as error:  # a full disk ends neither the service nor its metrics: the others' are older meanwhile
            if not self._is_unwritable:
                log.error("metrics are not shared with the other workers, which are tried again: %s", error.strerror)
            self._is_unwritable = True
        else:
            self._is_unwritable = False

    def _others(self) -> Iterable[Snapshot]:
        """Of a worker that has ended what it counted still counts, and its gauges do not."""
        for path in sorted(self.folder.glob("*.json")) if self.folder else ():
            pid = int(path.stem)
            if pid == os.getpid():
                continue
            families: Snapshot = orjson.loads(path.read_bytes())
            yield families if _lives(pid) else [family for family in families if family["type"] != "gauge"]


class _Summed:
    """A collector, in prometheus_client's sense."""

    def __init__(self, snapshots: Iterable[Snapshot]) -> None:
        self.snapshots = snapshots

    def collect(self) -> Iterable[Metric]:
        metrics: dict[str, Metric] = {}
        sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
        for families in self.snapshots:
            for family in families:
                name = family["name"]
                metrics.setdefault(name, Metric(name, family["documentation"], family["type"]))
                totals = sums.setdefault(name, {})
                for sample, labels, value in family["samples"]:
                    key = sample, tuple(labels.items())
                    totals[key] = totals.get(key, 0.0) + value
        for name, metric in metrics.items():
            for (sample, labels), value in sums[name].items():
                metric.add_sample(sample, dict(labels), value)
            yield metric


def snapshot(figures: Figures) -> Snapshot:
    return [
        {
            "name": family.name,
            "documentation": family.documentation,
            "type": family.type,
            "samples": [[sample.name, sample.labels, sample.value] for sample in family.samples],
        }
        for family in figures.collect()
    ]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def resident_bytes() -> float:
    """This process's resident memory; NaN where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return float("nan")
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
