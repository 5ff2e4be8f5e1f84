"""What a token of a stream costs, as ratios within one run: `python -m bench streaming`.

Late beside early: one step at t = 10,000 over one at t = 10. Prefixes: `predict` of each prefix of a text over reading
it token by token, in tokens that the recurrence runs and in time. Together: tokens a second of 64 streams, each with a
new token a step and one step for all, over those of one stream.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from models.checkpoint.checkpoint import load_checkpoint
from models.inference.predictor import Predictor
from models.inference.stream_state import StreamState
from models.inference.streaming import Streamer
from models.runtime.cpu.fused import FusedRunner
from models.runtime.cpu.tables import tabulate
from service.sealing import Sealer, random_key

from .kernels import Say
from .ratios import Spread
from .results import Results, versions
from .texts import texts

MODELS = ("zh-sentiment-lstm", "en-sentiment-lstm", "zh-ner-lstm")
EARLY, LATE, LENGTH, TOGETHER = 10, 10_000, 2_000, 64
_SAMPLED = 20  # of the prefixes every so many is timed
_REST = 600  # bytes of a state besides h and c, about
_TABLES = 128_000_000  # bytes, as the service has


class Subject:
    """One model and a text of its own words, in pieces that are a token each."""

    def __init__(self, folder: Path) -> None:
        predictor = Predictor(load_checkpoint(folder), torch.device("cpu"))
        if isinstance(predictor.runner, FusedRunner):
            tabulate([predictor.runner], _TABLES)
        separator = "" if folder.name.startswith("zh") else " "
        (text,) = texts(predictor.vocabulary, " ", [LENGTH], 7)
        self.pieces = [f"{piece[:1] if not separator else piece}{separator}" for piece in text.split()]
        self.predictor, self.streamer = predictor, Streamer(predictor)

    def step(self, state: StreamState, piece: str) -> tuple[StreamState, int]:
        """The next state, and the tokens that were run for it."""
        turn = self.streamer.prepare(state, piece)
        (step,) = self.streamer.run([turn])
        return step.state, len(turn)

    def read(self, state: StreamState, count: int) -> StreamState:
        """After so many pieces, in chunks of a hundred."""
        for first in range(0, count, 100):
            chunk = (self.pieces[(first + k) % LENGTH] for k in range(min(100, count - first)))
            state, _ = self.step(state, "".join(chunk))
        return state


def run(weights: Path, rounds: int, say: Say) -> Results:
    """The suite's part of the results."""
    torch.set_num_threads(1)
    models, kernel = [], ""
    for name in MODELS:
        say(f"streaming: {name}")
        subject = Subject(weights / name)
        kernel = subject.predictor.runner.kernel
        prefix_tokens, prefix_seconds = prefixes_over_stream(subject, rounds)
        models.append(
            {
                "model": name,
                "late_over_early": late_over_early(subject, rounds).stored(),
                "prefix_tokens": prefix_tokens,
                "prefix_seconds": prefix_seconds.stored(),
                "together_over_alone": together_over_alone(subject, rounds).stored(),
                **step_parts(subject),
            }
        )
    packages = versions("torch", "cryptography")
    return {"rounds": rounds, "kernel": kernel, "models": models, "states": states(weights), "versions": packages}


def step_parts(subject: Subject) -> dict[str, float]:
    """Microseconds of a stream's step of one token at a time: cutting its chunk into tokens, and the recurrence, the
    head and the answer; and of one more token of a text that is read whole.
    """
    state, piece = subject.read(subject.streamer.begin(), EARLY), subject.pieces[EARLY]
    turn = subject.streamer.prepare(state, piece)
    prepared = min(_timed(partial(subject.streamer.prepare, state, piece)) for _ in range(1000))
    run_s = min(_timed(partial(subject.streamer.run, [turn])) for _ in range(1000))
    short, long = ("".join(subject.pieces[:count]) for count in (LENGTH // 2, LENGTH))
    short_s, long_s = (
        min(_timed(partial(subject.predictor.predict, [text])) for _ in range(20)) for text in (short, long)
    )
    more = (long_s - short_s) / (LENGTH - LENGTH // 2)
    return {"prepare_us": 1e6 * prepared, "run_us": 1e6 * run_s, "token_of_a_text_us": 1e6 * more}


def states(weights: Path) -> list[dict[str, Any]]:
    """Of each kind of state its size, and the time of sealing and opening it, the fastest of many."""
    sizes = [("h and c of 256 units", _REST + 8 * 256)]
    for name in MODELS:
        sizes.append((name, Subject(weights / name).streamer.layout.size))
    return [{"state": name, "bytes": size, **sealing(size)} for name, size in sizes]


def sealing(size: int) -> dict[str, float]:
    """characters of the token; microseconds of sealing and opening a state of so many bytes."""
    sealer, digest = Sealer((random_key(),), 3600), "5a" * 32
    token = sealer.seal(bytes(size), digest)
    sealed = min(_timed(partial(sealer.seal, bytes(size), digest)) for _ in range(5000))
    opened = min(_timed(partial(sealer.open, token, size, digest)) for _ in range(5000))
    return {"characters": len(token), "seal_us": 1e6 * sealed, "open_us": 1e6 * opened}


def late_over_early(subject: Subject, rounds: int) -> Spread:
    early = subject.read(subject.streamer.begin(), EARLY)
    late = subject.read(subject.streamer.begin(), LATE)

    def best(state: StreamState) -> float:
        return min(_timed(partial(subject.step, state, subject.pieces[k])) for k in range(200))

    best(early)
    ratios = []
    for n in range(rounds):  # one after the other, each first in turn
        times = {which: best(state) for which, state in ((("early", early), ("late", late)) * 2)[n % 2 : n % 2 + 2]}
        ratios.append(times["late"] / times["early"])
    return Spread.from_values(ratios)


def prefixes_over_stream(subject: Subject, rounds: int) -> tuple[float, Spread]:
    """In tokens that the recurrence runs, and in time; of the prefixes every twentieth is timed."""
    prefixes = ["".join(subject.pieces[:n]) for n in range(1, LENGTH + 1)]
    read = LENGTH * (LENGTH + 1) / 2
    ratios, run_tokens = [], 0
    for _ in range(rounds):
        began, run_tokens, state = time.process_time(), 0, subject.streamer.begin()
        for piece in subject.pieces:
            state, tokens = subject.step(state, piece)
            run_tokens += tokens
        stream_s = time.process_time() - began
        sampled = prefixes[_SAMPLED // 2 :: _SAMPLED]
        prefix_s = sum(_timed(partial(subject.predictor.predict, [prefix])) for prefix in sampled)
        ratios.append(prefix_s * _SAMPLED / stream_s)
    return read / run_tokens, Spread.from_values(ratios)


def together_over_alone(subject: Subject, rounds: int) -> Spread:
    def tokens_per_s(streams: int, steps: int) -> float:
        states = [subject.streamer.begin() for _ in range(streams)]
        began = time.process_time()
        for n in range(steps):
            turns = [
                subject.streamer.prepare(state, subject.pieces[(n + 31 * k) % LENGTH]) for k, state in enumerate(states)
            ]
            states = [step.state for step in subject.streamer.run(turns)]
        return streams * steps / (time.process_time() - began)

    tokens_per_s(TOGETHER, 5)
    ratios = []
    for _ in range(rounds):
        alone = max(tokens_per_s(1, 100) for _ in range(5))
        ratios.append(max(tokens_per_s(TOGETHER, 8) for _ in range(5)) / alone)
    return Spread.from_values(ratios)


def _timed(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began
