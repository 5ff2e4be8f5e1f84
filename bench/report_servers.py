"""The servers' section of the page."""

from collections.abc import Mapping
from typing import Any

from lecture.markdown import table

from . import pictures
from .results import Results
from .wording import Fields, Put, machine, number, spread

NAMES = (
    "servers_targets",
    "servers_machine",
    "servers_picture",
    "servers_table",
    "servers_notes",
    "latency_table",
    "liveness_table",
    "server_memory",
)
OURS = ("ours", "ours-bf16")
NAMED = {"noop": "FastAPI alone, no model", "ours-bf16": "ours, bfloat16"}
MEMORY = {
    "rss": "resident",
    "files": "of it files, torch's libraries above all",
    "anonymous": "of it memory of its own",
    "weights": "of that the weights in float32",
    "packed": "their copies packed for the kernel",
    "tables": "tables of looked-up inputs",
    "anonymous_less_known": "all the rest",
}


def servers(part: Results, put: Put) -> Fields:
    """The section's fields. part: as `bench.serving.run` returns it."""
    contenders: Mapping[str, Mapping[str, Any]] = dict(sorted(part["contenders"].items(), key=fastest))
    bars = [(named(name), figures["requests_per_second"]) for name, figures in contenders.items()]
    alt = "Requests a second of each server, with the range over the rounds"
    return {
        "servers_targets": targets(part),
        "servers_machine": f"{machine(part)} `{part['model']}`, {part['connections']} connections, "
        f"{part['rounds']} rounds of {part['seconds']:g} s.",
        "servers_picture": put("servers", pictures.servers(bars, "requests a second"), alt),
        "servers_table": throughput(contenders, part["ratios"]),
        "servers_notes": notes(part),
        "latency_table": latency(part["latency"]),
        "liveness_table": liveness(part["liveness"]),
        "server_memory": memory(part["memory"]),
    }


def fastest(entry: tuple[str, Mapping[str, Any]]) -> float:
    return -float(entry[1]["requests_per_second"]["median"])


def targets(part: Results) -> str:
    """Each target of the server with its measured value."""
    ratios, best, memory = part["ratios"], part["best"], part["memory"]
    rest = memory["rss"] - sum(memory[name] for name in ("weights", "packed", "tables"))
    live = max((probe["p99_ms"] for probe in part["liveness"].values()), key=lambda p99: p99["median"])
    rows = [
        judged("requests a second, ours / FastAPI alone", ratios["ours/noop"], 0.40, 0.55),
        judged("the same in bfloat16", ratios.get("ours-bf16/noop"), None, 0.80),
        *(judged(f"ours / {named(name)}", ratios[f"ours/{name}"], 4, 10) for name in best.values()),
        judged("time of inspect / predict, 64 tokens, one client", part["latency"]["ratio"], 1.6, 1.2, at_most=True),
        judged("99 % answered within, ms", part["contenders"]["ours"]["p99_ms"], 25, 12, at_most=True),
        judged("99 % of liveness probes under full load within, ms", live, 50, None, at_most=True),
        judged("MB at rest beside weights and tables", single(rest / 1e6), 250, None, at_most=True),
    ]
    return table(("what", "asked", "aim", "found", "verdict"), [row for row in rows if row])


def single(value: float) -> dict[str, float]:
    return {"median": value, "low": value, "high": value}


def judged(
    what: str, measured: Mapping[str, float] | None, bound: float | None, aim: float | None, at_most: bool = False
) -> list[str]:
    """A row of the table, judged by the median; empty where nothing was measured."""
    if measured is None:
        return []

    def within(limit: float | None) -> bool:
        return limit is not None and (measured["median"] <= limit if at_most else measured["median"] >= limit)

    side = "≤" if at_most else "≥"
    limits = [f"{side} {limit:g}" if limit is not None else "–" for limit in (bound, aim)]
    verdict = "aim reached" if within(aim) else "met" if within(bound) else "missed"
    return [what, *limits, spread(measured), verdict]


def named(name: str) -> str:
    return NAMED.get(name, name)


def throughput(contenders: Mapping[str, Mapping[str, Any]], ratios: Mapping[str, Mapping[str, float]]) -> str:
    rows = []
    for name, figures in contenders.items():
        times = [spread(ratios[key]) if (key := f"{our_name}/{name}") in ratios else "" for our_name in OURS]
        waits = [number(figures[key]["median"]) for key in ("p50_ms", "p99_ms")]
        rows.append([named(name), spread(figures["requests_per_second"], 0), *times, *waits])
    header = ("server", "requests a second", "ours / it", "ours in bfloat16 / it", "half within, ms", "99 % within, ms")
    return table(header, rows)


def notes(part: Results) -> str:
    """What a reader has to know about this run: contenders left out, with the reason, and what went wrong."""
    differences = part["score_differences"]
    lines = [f"{named(name)} was left out: {reason}" for name, reason in part["left_out"].items()] + list(part["notes"])
    if differences:
        name = max(differences, key=differences.__getitem__)
        lines.append(f"largest difference of a score from ours: {differences[name]:.0e}, {named(name)}'s")
    return "\n".join(f"- {line}" for line in lines)


def latency(part: Mapping[str, Any]) -> str:
    rows = [
        [verb, *(spread(part[f"{verb}{suffix}"]) for suffix in ("_ms", "_p99_ms"))] for verb in ("predict", "inspect")
    ]
    ratio = f"Inspect / predict: {spread(part['ratio'])}; an answer has {part['answer_bytes']:,} bytes."
    header = (f"{part['tokens']} tokens", "half within, ms", "99 % within, ms")
    return f"{table(header, rows)}\n\n{ratio}"


def liveness(part: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for name, figures in part.items():
        waits = [number(figures[key]["median"]) for key in ("p50_ms", "p99_ms")]
        waits.append(number(figures["highest_ms"]["high"]))
        failed = figures["failed"]["high"] + figures["failed_requests"]["high"]
        rows.append([f"{name} texts", spread(figures["requests_per_second"], 0), *waits, f"{failed:g}"])
    header = ("load", "its requests a second", "probe: half within, ms", "99 % within, ms", "longest, ms", "failed")
    return table(header, rows)


def memory(part: Mapping[str, int]) -> str:
    rows = [[what, f"{part[name] / 1e6:.0f}"] for name, what in MEMORY.items()]
    return table(("all shipped models, at rest", "MB"), rows)
