"""The servers suite: what `bench.servers` measures, in the form that is stored. The one place that calls it."""

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
OF_NOOP, OF_PREDICT = (
    0.40,
    1.6,
)  # asked: ours / FastAPI's own requests/s, at least; inspect's latency / predict's, at most


@dataclass(frozen=True)
class Effort:
    """Rounds, seconds of load in each, and requests of each kind that one client asks alone in each."""

    rounds: int = 5
    seconds: float = 5.0
    requests: int = 100


def run(weights: Path, effort: Effort, say: Say) -> Results:
    """The suite's part of the results."""
    there, left_out = installed(say)
    names = [name for name, its in known().items() if its.peer is None or its.peer in there]
    say("servers: requests a second")
    found = measure(effort.rounds, effort.seconds, names)
    say("servers: one client alone")
    latency = measure_latency(effort.rounds, effort.requests)
    say("servers: is it alive under load?")
    liveness = measure_liveness(effort.rounds, effort.seconds)
    say("servers: memory")
    return {
        **found,
        "left_out": found["left_out"] | left_out,
        "latency": latency,
        "liveness": liveness,
        "memory": measure_memory(weights),
        "versions": versions("torch", "fastapi", "uvicorn", "pydantic") | pins(there),
    }


def installed(say: Say) -> tuple[list[str], dict[str, str]]:
    """The peers that have their environment, made now where it is missing; and why others have none."""
    there, left_out = [], {}
    for peer in PEERS:
        try:
            ensure(peer)
            there.append(peer)
        except InstallFailed as error:
            left_out[peer] = str(error)
            say(f"servers: {peer} is left out: {error}")
    return there, left_out


def pins(peers: Sequence[str]) -> dict[str, str]:
    """Each peer's own version, as its requirements pin it in their first line."""
    lines = [(REQUIREMENTS / f"{peer}.txt").read_text("utf-8").splitlines()[0] for peer in peers]
    return dict(line.split("==", 1) for line in lines)


def requests_per_second(clients: int, rounds: int, seconds: float) -> Spread:
    """Of ours, with so many clients that wait for an answer at once."""
    found = measure(rounds, seconds, [OURS], connections=clients)
    return Spread(**found["contenders"][OURS]["requests_per_second"])


def quick(effort: Effort, stored: Results) -> tuple[list[str], list[str]]:
    """What to print of ours beside FastAPI alone, and a sentence for each bound that was missed.

    stored: what `run` found, to which a ratio may come close even where it missed what was asked; or nothing.
    Raises: SystemExit where a server did not start.
    """
    try:
        found = measure(effort.rounds, effort.seconds, [OURS, NOOP])
        latency = measure_latency(effort.rounds, effort.requests)
    except ServerFailed as error:
        raise SystemExit(str(error)) from error
    of_noop, of_predict = found["ratios"][f"{OURS}/{NOOP}"], latency["ratio"]
    told = [
        *(f"{name}: {spread(its['requests_per_second'], 0)} requests/s" for name, its in found["contenders"].items()),
        f"ours / FastAPI alone: {spread(of_noop)}",
        f"predict: {spread(latency['predict_ms'])} ms; inspect, every tensor of {latency['tokens']} tokens: "
        f"{spread(latency['inspect_ms'])} ms; inspect / predict: {spread(of_predict)}",
        *found["notes"],
    ]
    before = stored["latency"]["ratio"]["median"] if stored else 0.0
    return told, missed(of_noop["median"], of_predict["median"], max(OF_PREDICT, WORSE * before))


def missed(of_noop: float, of_predict: float, at_most: float = OF_PREDICT) -> list[str]:
    """A sentence for each bound that is not kept."""
    said = []
    if of_noop < OF_NOOP:
        said.append(f"requests/s: ours / FastAPI alone is {of_noop:.2f}, at least {OF_NOOP:.2f} is asked.")
    if of_predict > at_most:
        said.append(f"latency: inspect / predict is {of_predict:.2f}, at most {at_most:.2f} is allowed here.")
    return said
