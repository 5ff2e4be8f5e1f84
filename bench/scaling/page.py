"""docs/scaling/results.json -> docs/scaling.md. Every figure on the page comes from there; nothing is measured here."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from lecture.markdown import table

from ..results import Results
from ..wording import Fields, machine, number, spread
from . import arithmetic
from .arithmetic import Core
from .bursts import bursts

STORED = Path("docs/scaling/results.json")
TEMPLATE = Path(__file__).with_name("page.md")
MODEL, GATES = "zh-sentiment-lstm", ", with every gate"
EAGER, ONNX = "transformer, torch", "transformer, ONNX Runtime"
MILLION, BILLION = 1e6, 1e9
_MODELS = (MODEL, "zh-sentiment-bilstm", "zh-ner-bilstm")
_NAMES = {
    "prediction": "the prediction alone",
    "gates_safetensors": "every gate, safetensors",
    "gates_json": "every gate, JSON",
}


def write(stored: Results, out: Path) -> Path:
    """Writes the page into `out`; returns its path."""
    page = out / "scaling.md"
    page.write_text(Template(TEMPLATE.read_text("utf-8")).substitute(fields(stored)).rstrip() + "\n", "utf-8")
    return page


def fields(stored: Results) -> Fields:
    """Every field of the template; what was not measured says so."""
    pace, ray = stored["pace"], stored.get("ray")
    values: Fields = {
        "pace_machine": f"{machine(pace)} Kernel `fused-{pace['kernel']}`, one core, one thread, processor time, "
        f"{pace['rounds']} rounds.",
        "pace_table": pace_table(pace),
        "transformer": transformer(pace),
        "answers_table": answers_table(pace["answers"]),
        "core_hours_table": core_hours_table(pace),
        "batch": batch(stored.get("batch")),
    }
    sections: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "ray_table": ray_table,
        "cores_table": cores_table,
        "core": lambda part: f"{number(Core.measured(part).requests)} requests of a text a second over HTTP",
        "million_table": lambda part: million_table(Core.measured(part), part, pace["answers"]),
        "limits_table": lambda part: limits_table(Core.measured(part), pace["answers"]),
        "bursts_table": lambda part: bursts(Core.measured(part).requests),
    }
    for name, section in sections.items():
        values[name] = section(ray) if ray else "Not measured yet: `python -m bench ray` does."
    return values


def pace_table(pace: Mapping[str, Any]) -> str:
    rows = []
    for case in pace["cases"]:
        for name, cpu in _fastest_first(case["cpu_us"]):
            texts = case["texts"] / cpu["median"] * 1e6
            times = spread(case["ratios"][name], 1) if name in case["ratios"] else "1"
            size = f"{case['texts']} x {case['tokens']}"
            rows.append([name, size, number(cpu["median"]), number(texts), number(texts * case["tokens"]), times])
    header = ("what", "texts x tokens", "CPU µs", "texts/s", "tokens/s", f"time / {MODEL}'s")
    return table(header, rows)


def _fastest_first(cpu_us: Mapping[str, Mapping[str, float]]) -> list[tuple[str, Mapping[str, float]]]:
    return sorted(cpu_us.items(), key=lambda named: named[1]["median"])


def transformer(pace: Mapping[str, Any]) -> str:
    size = pace["transformer"]
    left_out = "".join(f" Left out: {name}: {reason}." for name, reason in pace["left_out"].items())
    return (
        f"The transformer has {size['layers']} layers, {size['width']} units and {size['parameters'] / 1e6:.0f} "
        f"million parameters, as DistilBERT, with random weights.{left_out}"
    )


def answers_table(answers: Mapping[str, Mapping[str, float]]) -> str:
    rows = [[name, *(f"{sizes[kind]:,}" for kind in _NAMES)] for name, sizes in answers.items()]
    return table(("bytes of an answer", *_NAMES.values()), rows)


def ray_table(ray: Mapping[str, Any]) -> str:
    rows = []
    for case in ray["overhead"]["alone"]:
        speeds = [spread(ray["overhead"][name][case], 0) for name in ("alone", "Ray Serve")]
        rows.append(
            [
                case.replace("1 connections", "1 connection"),
                *speeds,
                spread(ray["ratios"][f"Ray Serve / alone, {case}"]),
            ]
        )
    return table(("requests a second", "alone", "on Ray Serve", "ratio"), rows)


def cores_table(ray: Mapping[str, Any]) -> str:
    rows = []
    pairs = (("alone", "alone, 2 workers"), ("Ray Serve", "Ray Serve, 2 replicas"))
    for one, two in pairs:
        for case in ray["cores"][one]:
            speeds = [spread(ray["cores"][name][case], 0) for name in (one, two)]
            rows.append([one, f"{case} a second", *speeds, spread(ray["ratios"][f"{two} / {one}, {case}"])])
    return table(("", "", "one process", "two", "ratio"), rows)


def million_table(core: Core, ray: Mapping[str, Any], answers: Mapping[str, Mapping[str, float]]) -> str:
    on_ray = ray["ratios"]["Ray Serve / alone, 64 connections, by processor time"]["median"]
    rows: list[Sequence[object]] = []
    for name, share in (("alone, behind a proxy", 1.0), ("on Ray Serve, its processes on the same cores", on_ray)):
        found = arithmetic.fleet(MILLION, core, share)
        memory = f"{found.memory_gb:,.0f} GB"
        rows.append([name, f"{found.replicas:,}", f"{found.machines:,}", memory])
    traffic = [
        [kind, *(number(arithmetic.gbits(MILLION * share, answers[MODEL][key])) for share in (1.0, 0.01))]
        for key, kind in _NAMES.items()
    ]
    fleet = table(("", "replicas", f"machines of {arithmetic.CORES} cores", "memory"), rows)
    network = table(("Gbit/s of answers", "of every request", "of one in a hundred"), traffic)
    return f"{fleet}\n\n{network}"


def limits_table(core: Core, answers: Mapping[str, Mapping[str, float]]) -> str:
    rows = [[limit.what, number(limit.requests)] for limit in arithmetic.limits(core, answers[MODEL])]
    return table(("what is full", "at requests a second"), rows)


def core_hours_table(pace: Mapping[str, Any]) -> str:
    """Of the largest batches of short texts, as a file of them is read."""
    case = max((case for case in pace["cases"] if case["tokens"] == 20), key=lambda case: case["texts"])
    rows = []
    for name, cpu in _fastest_first(case["cpu_us"]):
        hours = arithmetic.core_hours(BILLION, cpu["median"] / case["texts"])
        rows.append([name, number(hours), number(hours / arithmetic.CORES)])
    return table(("a billion texts of 20 tokens", "core hours", f"hours on {arithmetic.CORES} cores"), rows)


def batch(part: Mapping[str, Any] | None) -> str:
    """Of `gatescope batch`, where its run stored figures: reading and writing are in them, starting is not."""
    if part is None:
        return "`gatescope batch` was not timed in this run."
    speed, kills, memory = part["speed"], part["kills"], part["memory"]
    one, many, loop = "one_process", "processes", "client_loop"
    rows = [
        [name, *(number(speed[clock]["rows_per_second"][key]["median"]) for clock in ("by_cpu", "wall"))]
        for key, name in ((one, "one process"), (many, f"{part['cores']} processes"), (loop, "a loop over the client"))
    ] + [
        [name, *(f"{speed[clock][ratio]['median']:.2f}" for clock in ("by_cpu", "wall"))]
        for ratio, name in (
            ("processes_to_one", f"{part['cores']} processes / one"),
            ("processes_to_client_loop", f"{part['cores']} processes / the loop"),
        )
    ]
    figures = table(("`gatescope batch`, rows a second", "by CPU time", "as the clock had it"), rows)
    conditions = (
        f"Medians of {speed['rounds']} rounds of {part['rows']:,} short texts on `{part['model']}`; the loop asks "
        "for 64 at a time.\nCPU time is what the machine would do with nothing else on it; the clock counts what "
        f"others took too:\nthey left {part['cores']} busy loops {speed['loops_to_one']['median']:.2f} times the CPU "
        "time of one, measured after the rounds."
    )
    survived = (
        f"kill -9 at {kills['kills']} moments of {kills['rows']:,} rows: {kills['lost']} lost, {kills['doubled']} "
        f"doubled, {kills['different']} other than in a run that was let be.\nMemory at the end of {memory['rows']:,} "
        f"rows / after {memory['early_rows']:,}: {memory['end_to_early']:.2f} "
        f"({memory['end_bytes'] / 1e6:.0f} MB for all processes)."
    )
    return f"{figures}\n\n{conditions}\n\n{survived}"
