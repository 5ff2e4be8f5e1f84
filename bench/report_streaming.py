"""The streams' section of docs/performance.md."""

from typing import Any

from lecture.markdown import table

from .results import Results
from .streaming import EARLY, LATE, LENGTH, TOGETHER
from .wording import Fields, Put, machine, number, spread

NAMES = ("streaming_machine", "streaming_table", "step_table", "states_table")
FORGERIES, REPLICAS, CLIENT = ("forgeries",), ("replicas",), ("client",)


def streaming(part: Results, put: Put) -> Fields:
    return {
        "streaming_machine": f"{machine(part)} The kernel is `{part['kernel']}`; one thread, process CPU time, "
        f"{part['rounds']} rounds.",
        "streaming_table": costs(part["models"]),
        "step_table": steps(part["models"]),
        "states_table": states(part["states"]),
    }


def costs(models: list[dict[str, Any]]) -> str:
    head = [
        "model",
        f"a step at t = {LATE:,} / at t = {EARLY}",
        f"{LENGTH:,} prefixes / one stream, in tokens run",
        "the same, in time",
        f"tokens a second, {TOGETHER} streams / one",
    ]
    rows = [
        [
            m["model"],
            spread(m["late_over_early"]),
            number(m["prefix_tokens"]),
            spread(m["prefix_seconds"], 0),
            spread(m["together_over_alone"]),
        ]
        for m in models
    ]
    return table(head, rows)


def steps(models: list[dict[str, Any]]) -> str:
    head = ["model", "a chunk -> tokens, µs", "tokens -> the answer, µs", "one more token of a whole text, µs"]
    keys = ("prepare_us", "run_us", "token_of_a_text_us")
    return table(head, [[m["model"], *(number(m[key]) for key in keys)] for m in models])


def states(rows: list[dict[str, Any]]) -> str:
    head = ["state", "bytes", "characters of its token", "sealed, µs", "opened, µs"]
    return table(
        head,
        [
            [r["state"], f"{r['bytes']:,}", f"{r['characters']:,}", number(r["seal_us"]), number(r["open_us"])]
            for r in rows
        ],
    )


def forgeries(part: Results, put: Put) -> Fields:
    return {"forgeries": f"Of {part['tried']:,} forged or altered state tokens {part['accepted']} were accepted."}


def replicas(part: Results, put: Put) -> Fields:
    return {
        "replicas": f"{part['steps']:,} steps over two servers that were killed {part['kills']} times at random, "
        f"{part['repeated']:,} of them sent again: {part['lost']} were lost, and {part['different']} answers differ "
        "from those of one machine."
    }


def client(part: Results, put: Put) -> Fields:
    return {
        "client": f"`pip install ./client` adds {number(part['megabytes'])} MB to an empty environment, and "
        f"`import gatescope` takes {spread(part['import_s'])} s there."
    }
