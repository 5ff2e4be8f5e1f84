"""`gatescope batch`: two processes beside one, a user's own loop over the client, kills, and memory against rows.

Texts are short: 5 to 60 tokens, half of them at most 20. Ratios are taken within a round; a round runs every contender.
"""

import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gatescope import Client
from models.batch.blocks import load_predictor
from models.batch.local import cores, local_engine
from models.batch.run import Request
from models.batch.run import run as run_batch
from models.checkpoint.checkpoint import load_checkpoint
from models.inference.predictor import Predictor

from .peers.processes import running
from .peers.table import HOST, ours
from .ratios import Spread, rotated
from .results import Results, versions
from .texts import lengths, texts

Say = Callable[[str], None]
MODEL = "zh-sentiment-lstm"
STORED = Path("docs/scaling/results.json")
_LOOP_TEXTS = 64  # of one request of the user's own loop
_KILLED_ROWS = 64  # of a block in the runs that are killed
_EARLY = 10_000  # rows after which memory is first read


def run(weights: Path, rounds: int, say: Say, rows: int = 65_536, memory_rows: int = 1_000_000) -> Results:
    """The suite's part of the results: 3 minutes for speed and kills, and as long again for memory."""
    folder = weights / MODEL
    with tempfile.TemporaryDirectory(prefix="bench-batch-") as place:
        scratch = Path(place)
        say("batch: processes beside one, and a loop over the client")
        part = {"model": MODEL, "rows": rows, "cores": cores(), "speed": speed(folder, scratch, rows, rounds, say)}
        say("batch: kills")
        part["kills"] = kills(folder, scratch, rows, 20)
        say(f"batch: memory of {memory_rows:,} rows")
        part["memory"] = memory(folder, scratch, memory_rows)
    return {**part, "versions": versions("torch", "numpy", "orjson")}


def speed(folder: Path, scratch: Path, rows: int, rounds: int, say: Say) -> dict[str, Any]:
    """Rows a second of one process, of one for each core, and of a loop over the client, with their ratios.

    Reading and writing files is part of all three; starting and loading is part of none. by_cpu: what CPU time alone
    comes to, as if nothing else ran: the work of one process counts whole, that of workers is divided among the cores,
    and in the loop client and server wait for each other. loops_to_one: the CPU time that busy loops, one for each
    core, get all together beside that of one: what this machine had to give to more than one process.
    """
    source = write_rows(folder, scratch / "speed.jsonl", rows)
    predictor = load_predictor(folder)
    wall: dict[str, list[float]] = {"one_process": [], "processes": [], "client_loop": []}
    by_cpu: dict[str, list[float]] = {name: [] for name in wall}
    with running(ours("batch-loop", folder)) as server, Client(f"http://{HOST}:{server.port}") as client:
        contenders: dict[str, Callable[[Path], None]] = {
            "one_process": lambda out: _answer(source, out, folder, predictor, 1),
            "processes": lambda out: _answer(source, out, folder, predictor, cores()),
            "client_loop": lambda out: _loop(source, out, client),
        }
        for turn in range(rounds):
            for name in rotated(list(contenders), turn):
                before, begun = _cpu(server.pid), time.perf_counter()
                contenders[name](scratch / f"{name}.jsonl")
                wall[name].append(time.perf_counter() - begun)
                own, workers, of_server = (b - a for a, b in zip(before, _cpu(server.pid), strict=True))
                by_cpu[name].append(own + workers / cores() + (of_server if name == "client_loop" else 0.0))
                say(f"round {turn + 1} of {rounds}: {name} {rows / wall[name][-1]:.0f} rows/s")
    control = [_loops(cores()) / _loops(1) for _ in range(rounds)]
    return {
        "rounds": rounds,
        "wall": _compared(rows, wall),
        "by_cpu": _compared(rows, by_cpu),
        "loops_to_one": Spread.from_values(control).stored(),
    }


def kills(folder: Path, scratch: Path, rows: int, count: int, seed: int = 0) -> dict[str, int]:
    """kill -9 of the command at `count` random moments, the start included, then the same command until it is whole.

    Returns: rows that are missing, that stand twice, and whose bytes are other than those of a run that was let be.
    """
    draw = random.Random(seed)
    source, whole, out = (
        write_rows(folder, scratch / "kills.jsonl", rows),
        scratch / "whole.jsonl",
        scratch / "out.jsonl",
    )
    options = ["--model", str(folder), "--block-rows", str(_KILLED_ROWS)]
    begun = time.monotonic()
    _command(source, whole, *options).wait()
    longest, blocks, killed, went_on = time.monotonic() - begun, -(-rows // _KILLED_ROWS), 0, 0
    while not out.exists():
        found = len(_records(out))
        process = _command(source, out, *options)
        if killed < count:
            # by work done, of which all kills take half on average; every fifth by the clock, in the start too
            aim = found + draw.randint(0, blocks // count)
            until = time.monotonic() + (draw.uniform(0, 0.2 * longest) if killed % 5 == 4 else 60 + longest)
            while process.poll() is None and len(_records(out)) < aim and time.monotonic() < until:
                time.sleep(0.005)
            time.sleep(draw.uniform(0, 0.05))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                killed, went_on = killed + 1, went_on + bool(found)
        process.wait()
    lines, expected = out.read_bytes().splitlines(), whole.read_bytes().splitlines()
    ids = [json.loads(line)["id"] for line in lines]
    return {
        "kills": killed,
        "went_on": went_on,
        "rows": rows,
        "lost": rows - len(set(ids)),
        "doubled": len(ids) - len(set(ids)),
        "different": sum(a != b for a, b in zip(lines, expected, strict=False)) + abs(len(lines) - len(expected)),
    }


def memory(folder: Path, scratch: Path, rows: int) -> dict[str, float]:
    """Resident bytes of the command and its processes, shared pages once, after `_EARLY` rows and at the end."""
    source = write_rows(folder, scratch / "memory.jsonl", rows, longest=8)  # what a row costs is not the question
    out = scratch / "memory-out.jsonl"
    process = _command(source, out, "--model", str(folder))
    samples: list[tuple[int, int]] = []  # rows done, bytes
    while process.poll() is None:
        done = 4096 * len(_records(out))
        with contextlib.suppress(OSError, ValueError):
            samples.append((done, sum(_proportional(pid) for pid in _family(process.pid))))
        time.sleep(0.2)
    early = next(size for done, size in samples if done >= _EARLY)
    last_rows = max(done for done, _ in samples)
    late = [size for done, size in samples if done >= 0.95 * last_rows]
    return {
        "rows": rows,
        "early_rows": _EARLY,
        "early_bytes": early,
        "end_bytes": max(late),
        "peak_bytes": max(size for _, size in samples),
        "end_to_early": max(late) / early,
    }


def write_rows(folder: Path, path: Path, rows: int, longest: int = 60, seed: int = 0) -> Path:
    """JSON lines of short texts of the model's own tokens, each with its number as ``id``."""
    checkpoint = load_checkpoint(folder)
    vocabulary = checkpoint.network.architecture.features[0].vocabulary
    assert vocabulary is not None
    separator = "" if checkpoint.manifest.language == "zh" else " "
    with path.open("w", encoding="utf-8") as file:
        for first in range(0, rows, 10_000):
            count = min(10_000, rows - first)
            counts = [min(n, longest) for n in lengths(count, seed + first)]
            drawn = texts(vocabulary, separator, counts, seed + first)
            for n, text in enumerate(drawn, first):
                file.write(json.dumps({"id": n, "text": text}, ensure_ascii=False) + "\n")
    return path


def _answer(source: Path, out: Path, folder: Path, predictor: Predictor, processes: int) -> None:
    @contextlib.contextmanager
    def quiet(rows: int, done: int) -> Iterator[Callable[[int], object]]:
        yield lambda count: None

    request = Request(source, out, folder, replace=True)
    run_batch(request, predictor, local_engine(predictor, processes), quiet)


def _loop(source: Path, out: Path, client: Client) -> None:
    """What a user writes: read, ask for 64 at a time, write."""
    with source.open(encoding="utf-8") as rows, out.open("w", encoding="utf-8") as answers:
        batch: list[dict[str, Any]] = []
        for line in rows:
            batch.append(json.loads(line))
            if len(batch) == _LOOP_TEXTS:
                _ask(batch, client, answers.write)
                batch = []
        if batch:
            _ask(batch, client, answers.write)


def _ask(batch: list[dict[str, Any]], client: Client, write: Callable[[str], object]) -> None:
    answer = client.predict([row["text"] for row in batch], MODEL)
    for row, result in zip(batch, answer.results, strict=True):
        best = (result.labels or ())[0]
        write(json.dumps({**row, "label": best.label, "score": best.score}, ensure_ascii=False) + "\n")


def _compared(rows: int, seconds: dict[str, list[float]]) -> dict[str, Any]:
    return {
        "rows_per_second": {
            name: Spread.from_values([rows / s for s in taken]).stored() for name, taken in seconds.items()
        },
        "processes_to_one": _ratio(seconds["one_process"], seconds["processes"]),
        "processes_to_client_loop": _ratio(seconds["client_loop"], seconds["processes"]),
        "one_process_to_client_loop": _ratio(seconds["client_loop"], seconds["one_process"]),
    }


def _ratio(over: list[float], under: list[float]) -> dict[str, float]:
    """Of the rounds, and of the fastest run of each: the one that other processes disturbed least."""
    within = Spread.from_values([a / b for a, b in zip(over, under, strict=True)]).stored()
    return within | {"of_fastest": min(over) / min(under)}


def _cpu(server: int) -> tuple[float, float, float]:
    """CPU seconds of this process, of its workers that have ended, and of the server."""
    own, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    fields = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
    of_server = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own.ru_utime + own.ru_stime, workers.ru_utime + workers.ru_stime, of_server


def _loops(count: int, seconds: float = 0.5) -> float:
    """CPU seconds that so many busy loops get together."""
    loop = f"import time; end = time.time() + {seconds}\nwhile time.time() < end: pass\nprint(time.process_time())"
    command = [sys.executable, "-S", "-c", loop]
    running_loops = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]  # noqa: S603
    return sum(float(process.communicate()[0]) for process in running_loops)


def _command(*words: object) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "service", "batch", *map(str, words)]
    path = os.pathsep.join([".", "client", os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(  # noqa: S603
        command, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _records(out: Path) -> list[Path]:
    return list(out.with_name(f"{out.name}.batch").glob("0*.json"))


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in _family(int(child)))]


def _proportional(pid: int) -> int:
    """Pss: a page that several processes share counts once in their sum."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
