"""docs/reliability/results.json -> docs/reliability.md. Every figure on the page comes from that file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from bench import results
from lecture.markdown import table

STORED = Path("docs/reliability/results.json")
PAGE = Path("docs/reliability.md")
TEMPLATE = Path(__file__).with_name("reliability.md")
GOODPUT, RECOVERED, GROWTH, BACK_S = 0.85, 0.9, 0.05, 5.0
Part = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One line of the table: what was done, what was found, what is asked, and whether that holds."""

    done: str
    found: str
    asked: str
    holds: bool


def write() -> Path:
    text = render(results.read(STORED))
    PAGE.write_text(text, "utf-8")
    return PAGE


def render(stored: Mapping[str, Part]) -> str:
    rows = []
    for name, make in ROWS.items():
        if name in stored:
            row = make(stored[name])
            verdict = "yes" if row.holds else "**no**"
            rows.append([row.done, row.found, row.asked, verdict, f"`python -m tests.stress {name}`"])
    fields = {
        "table": table(("what is done", "what was found", "what is asked", "holds", "the command"), rows),
        "loads": _loads(stored["overload"]) if "overload" in stored else "",
        "missed": _missed(stored),
        "machine": _machine(stored),
        "kinds": _kinds(stored["hostile"]) if "hostile" in stored else "",
    }
    return Template(TEMPLATE.read_text("utf-8")).substitute(fields).rstrip() + "\n"


def _machine(stored: Mapping[str, Part]) -> str:
    machines = {(m["cpu"], m["cores"], m["date"]) for m in (part["machine"] for part in stored.values())}
    busy = [part["load_average"] for part in stored.values() if "load_average" in part]
    listed = "; ".join(f"{cpu}, {cores} cores, {date}" for cpu, cores, date in sorted(machines))
    return (
        f"{listed}; load average of the machine before each run: {min(busy):.1f} to {max(busy):.1f}" if busy else listed
    )


def conformance(part: Part) -> Row:
    done = f"Schemathesis: {part['requests']} requests drawn from the OpenAPI of {part['operations']} operations"
    undeclared = "; ".join(part["undeclared"]) or "every answer declared"
    return Row(
        done, f"statuses {_listed(part['statuses'])}; {undeclared}", "every status declared", not part["undeclared"]
    )


def hostile(part: Part) -> Row:
    holds = not part["fault_count"] and part["same_answers"] and part["alive"] and not part["bugs_logged"]
    found = (
        f"{part['fault_count']} bugs, leaks or hung connections; answers before and after the same: "
        f"{_yes(part['same_answers'])}; texts in the log: {part['texts_logged']}"
    )
    done = f"{part['count']} hostile requests over {part['routes']} paths and ten methods, seed {part['seed']}"
    return Row(done, found, "no 500, no leak, no text logged, alive", holds and not part["texts_logged"])


def goodput(part: Part) -> Row:
    loads = part["loads"]
    bound = 2 * loads["0.5"]["p99_ms"] + part["queue_bound_ms"]
    others = set(part["statuses"]) - {200, 429}
    found = (
        f"at 10 times the capacity {part['share_of_peak']:.0%} of the peak, p99 of what is admitted "
        f"{loads['10']['p99_ms']:.0f} ms; statuses other than 200 and 429: {len(others)}; unanswered: {part['unanswered']}"
    )
    holds = (
        part["share_of_peak"] >= GOODPUT and loads["10"]["p99_ms"] <= bound and not others and not part["unanswered"]
    )
    asked = f"{GOODPUT:.0%} of the peak; p99 at most {bound:.0f} ms, twice that at 0.5 and the queue's bound"
    return Row(f"open-loop load up to 10 times {part['capacity']:.0f} requests/s of 32 texts", found, asked, holds)


def departures(part: Part) -> Row:
    again = part["capacity_after"] / part["capacity_before"]
    found = (
        f"{part['left']} left; of the {part['answered']} others {part['lost']} lost and {part['wrong']} wrong; tokens "
        f"waiting at the end: {part['waiting_after']:.0f}; capacity afterwards {again:.0%}"
    )
    holds = not part["lost"] and not part["wrong"] and not part["waiting_after"] and again >= RECOVERED
    done = f"30 % of {part['due']} clients leave soon, some before they are answered"
    return Row(done, found, f"companions answered, capacity at least {RECOVERED:.0%} of before", holds)


def swaps(part: Part) -> Row:
    found = f"{part['failed']} of {part['asked']} requests failed; p99 {part['p99_ms']:.0f} ms"
    return Row(
        f"a model read anew {part['swaps']} times, every second, under load", found, "0 failed", not part["failed"]
    )


def memory(part: Part) -> Row:
    found = (
        f"{part['slope_of_cycles']:+.1%} over the cycles, {part['slope_of_soak']:+.1%} over {part['soak_requests']} "
        f"requests; {part['resident_bytes'] / 1e6:.0f} MB"
    )
    holds = max(part["slope_of_cycles"], part["slope_of_soak"]) < GROWTH and part["statuses"] == [200]
    done = f"{part['cycles']} unloads and loads, and {part['soak_s']:.0f} s of full load: resident memory"
    return Row(done, found, f"slope under {GROWTH:.0%}", holds and not part["soak_failed"])


def damages(part: Part) -> Row:
    found = (
        f"answers changed: {part['answers_changed']}; statuses of the loads {_listed(part['statuses'])}; bugs logged: "
        f"{part['bugs']}; loaded after the repair: {_yes(part['loaded_after_repair'])}"
    )
    holds = not part["answers_changed"] and not part["bugs"] and part["loaded_after_repair"]
    done = f"{part['damages']} reloads of damaged folders, and reloads while {part['damages']} copies are written"
    return Row(done, found, "the good version goes on", holds)


def terminations(part: Part) -> Row:
    found = (
        f"{part['answered']} answered, {part['lost']} lost, {part['other_statuses']} other statuses; "
        f"{part['refused_connections']} connections refused after the port had closed"
    )
    workers = "a server" if part["workers"] == 1 else f"{part['workers']} workers"
    done = f"SIGTERM to {workers} under {part['rate']} requests/s, {part['rounds']} times"
    return Row(done, found, "0 lost", not part["lost"] and not part["other_statuses"])


def kills(part: Part) -> Row:
    found = (
        f"back after {part['back_median_s']:.1f} s, at most {part['back_s']:.1f}; of {part['asked']} requests "
        f"{part['unanswered']} were the killed workers', {part['failed']} failed"
    )
    holds = part["back_s"] < BACK_S and not part["failed"] and part["unanswered"] <= 2 * part["kills"]
    done = f"SIGKILL to one of {part['workers']} workers, {part['kills']} times"
    return Row(done, found, f"the others answer, back under {BACK_S:.0f} s", holds)


def full_disk(part: Part) -> Row:
    found = (
        f"{part['failed']} of {part['asked']} failed; /metrics {_listed(part['metrics_statuses'])}; a load is "
        f"{part['load_status']}, and {part['load_status_after']} once there is room"
    )
    holds = not part["failed"] and part["same_answers"] and part["metrics_statuses"] == part["alive_statuses"] == [200]
    holds = holds and part["load_status"] == 503 and part["load_status_after"] == 200
    return Row("no byte can be written: log, metrics, what workers share", found, "0 failed, no 500", holds)


def clock(part: Part) -> Row:
    found = (
        f"answers {_listed(part['statuses'])}; deadline of 50 ms {part['deadline_status']}; counters that fell: "
        f"{len(part['fallen_counters'])}; state tokens: of before {part['token_of_before']}, two days old "
        f"{part['token_of_yesterday']}"
    )
    holds = part["statuses"] == [200] and part["deadline_status"] == 504 and not part["fallen_counters"]
    holds = holds and part["token_of_before"] == 200 and part["token_of_yesterday"] == 422
    return Row("the wall clock goes back a day, then forward two", found, "deadlines, tokens, figures stay sane", holds)


ROWS: dict[str, Callable[[Part], Row]] = {
    "openapi": conformance,
    "hostile": hostile,
    "overload": goodput,
    "departures": departures,
    "swaps": swaps,
    "memory": memory,
    "damages": damages,
    "terminations": terminations,
    "terminations-of-workers": terminations,
    "kills": kills,
    "full-disk": full_disk,
    "clock": clock,
}


def _loads(part: Part) -> str:
    rows = []
    for factor, load in sorted(part["loads"].items(), key=lambda pair: float(pair[0])):
        refused = load["statuses"].get("429", 0)
        p = f"{load['p50_ms']:.0f}", f"{load['p99_ms']:.0f}"
        rows.append([factor, load["due"], f"{load['goodput']:.1f}", refused, *p, load["unsent"] + load["unanswered"]])
    header = ("times the capacity", "due", "answered with 200 a second", "429", "p50 ms", "p99 ms", "unanswered")
    bound = f"A full queue of {part['queue_tokens']} tokens drains in {part['queue_bound_ms']:.0f} ms."
    return f"{table(header, rows)}\n\n{bound} The model is `{part['model']}`; {part['rounds']} rounds, medians."


def _missed(stored: Mapping[str, Part]) -> str:
    missed = [name for name, make in ROWS.items() if name in stored and not make(stored[name]).holds]
    absent = [name for name in ROWS if name not in stored]
    lines = [f"Missed: {', '.join(missed)}." if missed else "Nothing is missed."]
    if absent:
        lines.append(f"Not measured yet: {', '.join(absent)}.")
    return " ".join(lines)


def _kinds(part: Part) -> str:
    return table(
        ("how the requests were made", "sent"), [[kind, count] for kind, count in sorted(part["kinds"].items())]
    ) + f"\n\nAnswered by {_listed(part['statuses'])}; 0 is a connection that the server closed, for bytes that it could not read as HTTP."  # fmt: skip


def _listed(values: Any) -> str:
    """``200: 5, 422: 3``, or ``200`` of a list."""
    if isinstance(values, Mapping):
        return ", ".join(f"{status}: {count}" for status, count in values.items())
    return ", ".join(map(str, values))


def _yes(value: bool) -> str:
    return "yes" if value else "no"
