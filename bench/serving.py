"""The servers suite: calls `bench.servers` and returns its measurements in the stored form."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .peers.environments import REQUIREMENTS, InstallFailed, ensure
from .peers.processes import ServerFailed
from .peers.table import NOOP, OURS, PEERS, known
from .ratios import Spread
from .results import Results, versions
from .servers import measure, measure_latency, measure_liveness, measure_memory
from .targets import WORSE
from .wording import spread

Say = Callable[[str], None]
OF_NOOP = 0.40  # the least allowed ratio of requests/s, ours / FastAPI alone
OF_PREDICT = 1.6  # the largest allowed ratio of latencies, inspect / predict


@dataclass(frozen=True)
class Effort:
    """Rounds; in each, seconds of load, and requests of each kind that a single client sends."""

    rounds: int = 5
    seconds: float = 5.0
    requests: int = 100


def run(weights: Path, effort: Effort, say: Say) -> Results:
    """The suite's part of the results."""
    available, left_out = installed(say)
    names = [name for name, c in known().items() if c.peer is None or c.peer in available]
    say("servers: requests a second")
    throughput = measure(effort.rounds, effort.seconds, names)
    say("servers: one client alone")
    latency = measure_latency(effort.rounds, effort.requests)
    say("servers: is it alive under load?")
    liveness = measure_liveness(effort.rounds, effort.seconds)
    say("servers: memory")
    return {
        **throughput,
        "left_out": throughput["left_out"] | left_out,
        "latency": latency,
        "liveness": liveness,
        "memory": measure_memory(weights),
        "versions": versions("torch", "fastapi", "uvicorn", "pydantic") | pins(available),
    }


def installed(say: Say) -> tuple[list[str], dict[str, str]]:
    """The peers with an environment, made now where missing; and why the others have none: peer -> reason."""
    available, left_out = [], {}
    for peer in PEERS:
        try:
            ensure(peer)
            available.append(peer)
        except InstallFailed as error:
            left_out[peer] = str(error)
            say(f"servers: {peer} is left out: {error}")
    return available, left_out


def pins(peers: Sequence[str]) -> dict[str, str]:
    """Each peer's version, which the first line of its requirements pins."""
    lines = [(REQUIREMENTS / f"{peer}.txt").read_text("utf-8").splitlines()[0] for peer in peers]
    return dict(line.split("==", 1) for line in lines)


def requests_per_second(clients: int, rounds: int, seconds: float) -> Spread:
    """Requests a second of ours with `clients` connections."""
    measured = measure(rounds, seconds, [OURS], connections=clients)
    return Spread(**measured["contenders"][OURS]["requests_per_second"])


def quick(effort: Effort, stored: Results) -> tuple[list[str], list[str]]:
    """Lines to print about ours and FastAPI alone, and a sentence for each bound that was missed.

    stored: an earlier result of `run`, or empty. A ratio that missed its bound there may stay close to that value.
    Raises: SystemExit where a server did not start.
    """
    try:
        throughput = measure(effort.rounds, effort.seconds, [OURS, NOOP])
        latency = measure_latency(effort.rounds, effort.requests)
    except ServerFailed as error:
        raise SystemExit(str(error)) from error
    of_noop, of_predict = throughput["ratios"][f"{OURS}/{NOOP}"], latency["ratio"]
    speeds = {name: figures["requests_per_second"] for name, figures in throughput["contenders"].items()}
    lines = [
        *(f"{name}: {spread(speed, 0)} requests/s" for name, speed in speeds.items()),
        f"ours / FastAPI alone: {spread(of_noop)}",
        f"predict: {spread(latency['predict_ms'])} ms; inspect, every tensor of {latency['tokens']} tokens: "
        f"{spread(latency['inspect_ms'])} ms; inspect / predict: {spread(of_predict)}",
        *throughput["notes"],
    ]
    before = stored["latency"]["ratio"]["median"] if stored else 0.0
    return lines, missed(of_noop["median"], of_predict["median"], max(OF_PREDICT, WORSE * before))


def missed(of_noop: float, of_predict: float, at_most: float = OF_PREDICT) -> list[str]:
    """A sentence for each bound that is missed."""
    sentences = []
    if of_noop < OF_NOOP:
        sentences.append(f"requests/s: ours / FastAPI alone is {of_noop:.2f}, at least {OF_NOOP:.2f} is asked.")
    if of_predict > at_most:
        sentences.append(f"latency: inspect / predict is {of_predict:.2f}, at most {at_most:.2f} is allowed here.")
    return sentences
