"""`python -m tests.stress [experiment ...]`: the long forms, a quarter of an hour in all; then docs/reliability.md."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import results

from . import ending, fuzz, loading, overload, report, surroundings
from .servers import TEXTS, Measured, server, tiny_models

SHIPPED, ASKED = Path("weights"), "zh-sentiment-bilstm"


def conformance(own: Path) -> Measured:
    from . import openapi  # Schemathesis takes seconds to import

    with server(own) as started:
        return openapi.conformance(started.client, examples=150)


def hostile(own: Path) -> Measured:
    return fuzz.fuzz(own, count=10_000)


def overloaded(own: Path) -> Measured:
    with server(SHIPPED, ASKED, max_queue_tokens=overload.QUEUE_TOKENS) as started:
        return overload.overload(started, SHIPPED, rounds=3, seconds=2.5)


def departures(own: Path) -> Measured:
    with server(SHIPPED, ASKED) as started:
        return overload.departures(started, TEXTS, share=0.5, seconds=10)


def swaps(own: Path) -> Measured:
    with server(SHIPPED, "zh-sentiment-lstm", model_control="explicit") as started:
        return loading.swaps(started, rate=200, seconds=30, every_s=1)


def memory(own: Path) -> Measured:
    with server(own, model_control="explicit") as started:
        return loading.growth(started, cycles=500, soak_s=60)


def damages(own: Path) -> Measured:
    with server(own, model_control="explicit") as started:
        return loading.damages(started, own, count=200)


def terminations(own: Path) -> Measured:
    return ending.terminations(own, rate=500, rounds=6)


def terminations_of_workers(own: Path) -> Measured:
    return ending.terminations(own, rate=500, rounds=3, workers=2)


def kills(own: Path) -> Measured:
    with server(own, workers=2) as started:
        return ending.kills(started, workers=2, rounds=5)


def full_disk(own: Path) -> Measured:
    with server(own, workers=2, model_control="explicit") as started:
        return surroundings.full_disk(started, workers=2, asks=200)


def clock(own: Path) -> Measured:
    return surroundings.clock(own)


EXPERIMENTS: dict[str, Callable[[Path], Measured]] = {
    "openapi": conformance,
    "hostile": hostile,
    "overload": overloaded,
    "departures": departures,
    "swaps": swaps,
    "memory": memory,
    "damages": damages,
    "terminations": terminations,
    "terminations-of-workers": terminations_of_workers,
    "kills": kills,
    "full-disk": full_disk,
    "clock": clock,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="experiment", help=f"of {', '.join(EXPERIMENTS)}; default: all")
    names = parser.parse_args().names or list(EXPERIMENTS)
    if unknown := set(names) - set(EXPERIMENTS) - {"page"}:
        parser.error(f"there is no {', '.join(sorted(unknown))}: there are {', '.join(EXPERIMENTS)}, and page alone")
    for name in names:
        if name != "page":
            print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr, flush=True)
            busy = os.getloadavg()[0]
            with tempfile.TemporaryDirectory(prefix="stress-") as folder:
                found = EXPERIMENTS[name](tiny_models(Path(folder) / "weights"))
            results.merge(name, found | {"load_average": busy}, report.STORED)
    print(report.write())


if __name__ == "__main__":
    main()
