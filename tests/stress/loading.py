"""Models that come, go and are damaged while they are asked, and the memory that this leaves behind."""

import random
import shutil
import time
from pathlib import Path

import numpy as np

from bench.load import load
from bench.open_load import Arrivals, open_load
from bench.peers.client import clients
from bench.peers.table import HOST

from .servers import MODEL, TEXTS, Measured, Server, are_equal


def _change(asked: Server, verb: str) -> int:
    return asked.client.post(f"/v2/repository/models/{asked.model}/{verb}").status_code


def swaps(changing: Server, rate: float, seconds: float, every_s: float) -> Measured:
    """The model is read anew from its folder every so often, while an open-loop load asks it."""
    refused, swapped = 0, 0
    with clients(1) as pool:
        found = pool.submit(open_load, HOST, changing.port, changing.requests(TEXTS), Arrivals(rate, seconds))
        began = time.monotonic()
        while not found.done():
            refused += _change(changing, "load") != 200
            swapped += 1
            time.sleep(max(0.0, every_s - (time.monotonic() - began) % every_s))
        outcome = found.result()
    return {
        "model": changing.model,
        "swaps": swapped,
        "every_s": every_s,
        "asked": outcome.due,
        "failed": outcome.due - outcome.statuses[200] + refused,
        "p99_ms": outcome.percentile(0.99),
    }


def growth(changing: Server, cycles: int, soak_s: float) -> Measured:
    """Resident memory over loads and unloads of one model, and over a full load by sixteen clients.

    slope: that of a straight line, by least squares, times the number of points: the growth over the whole course, as
    a share of its beginning. The first fifth of the cycles is left out: until then caches fill.
    """
    with clients(1) as pool:
        by_cycle, statuses = [], set()
        for _ in range(cycles):
            statuses |= {_change(changing, "unload"), _change(changing, "load")}
            changing.scores(list(TEXTS))
            by_cycle.append(changing.resident_bytes())
        requests = changing.requests(TEXTS)
        pool.submit(load, HOST, changing.port, requests, 16, 0.0, 2.0).result()
        soaking = pool.submit(load, HOST, changing.port, requests, 16, 0.0, soak_s)
        by_second = []
        while not soaking.done():
            by_second.append(changing.resident_bytes())
            time.sleep(soak_s / 100)
        soaked = soaking.result()
    return {
        "cycles": cycles,
        "statuses": sorted(statuses),
        "resident_bytes": by_cycle[-1],
        "slope_of_cycles": _slope(by_cycle[cycles // 5 :]),
        "soak_s": soak_s,
        "soak_requests": soaked.answered,
        "soak_failed": soaked.failed,
        "slope_of_soak": _slope(by_second),
    }


def _slope(values: list[int]) -> float:
    each = float(np.polyfit(range(len(values)), values, 1)[0])
    return each * len(values) / values[0]


def damages(asked: Server, weights: Path, count: int, seed: int = 0) -> Measured:
    """Reloads of a folder that is damaged, in another way each time, some while it is being read.

    None may be served, and each time the version before must still answer as it did.
    """
    draw, folder, whole = random.Random(seed), weights / MODEL, weights.parent / "whole"
    shutil.copytree(folder, whole)
    statuses: dict[str, int] = {}
    changed = 0
    with clients(1) as pool:
        before = asked.scores(list(TEXTS))
        for number in range(count):
            _damage(folder, draw, number)
            status = _change(asked, "load")
            statuses[str(status)] = statuses.get(str(status), 0) + 1
            changed += not are_equal(asked.scores(list(TEXTS)), before)
            _restore(whole, folder)
        writing = pool.submit(_rewrite, str(whole), str(folder), count)
        while not writing.done():
            status = _change(asked, "load")
            statuses[str(status)] = statuses.get(str(status), 0) + 1
            changed += not are_equal(asked.scores(list(TEXTS)), before)
        writing.result()
        _restore(whole, folder)
        repaired = _change(asked, "load")
        bugs = asked.log.count("a bug")
    return {
        "damages": count,
        "statuses": statuses,
        "answers_changed": changed,
        "loaded_after_repair": repaired == 200,
        "bugs": bugs,
    }


def _damage(folder: Path, draw: random.Random, number: int) -> None:
    file = draw.choice(sorted(path for path in folder.iterdir() if path.is_file() and path.name != "card.md"))
    content = bytearray(file.read_bytes())
    kind = number % 5
    if kind == 0:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    elif kind == 1:
        del content[draw.randrange(len(content)) :]
    elif kind == 2:
        content = bytearray()
    elif kind == 3:
        content = bytearray(draw.randbytes(len(content)))
    else:
        file.unlink()
        return
    file.write_bytes(content)


def _rewrite(whole: str, folder: str, times: int) -> None:
    """Write the files in place, in pieces, as a copy over a slow line does: what is read meanwhile is half of each."""
    for _ in range(times):
        for file in sorted(Path(whole).iterdir()):
            content = file.read_bytes()
            with (Path(folder) / file.name).open("wb") as target:
                for at in range(0, len(content), max(1, len(content) // 4)):
                    target.write(content[at : at + max(1, len(content) // 4)])
                    target.flush()
                    time.sleep(0.001)


def _restore(whole: Path, folder: Path) -> None:
    for file in whole.iterdir():
        shutil.copyfile(file, folder / file.name)
