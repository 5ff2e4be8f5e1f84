"""results.json -> `docs/performance.md` and its pictures. Every figure on the page comes from results.json."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from matplotlib.figure import Figure

from lecture.markdown import table
from service.pictures import canvas

from . import pictures
from .contenders import AGREE, BF16, FUSED, LIBRARY, LOOP, RECORDED, REPLAY
from .graphs import FLOAT, INT8
from .kernels import TWO_LAYERS
from .report_card import NAMES as CARD
from .report_card import card
from .report_servers import NAMES as SERVERS
from .report_servers import servers
from .report_streaming import CLIENT, FORGERIES, REPLICAS, client, forgeries, replicas, streaming
from .report_streaming import NAMES as STREAMING
from .results import Results
from .targets import place, verdicts
from .wording import Fields, Put, machine, number, spread

ORDER = (FUSED, RECORDED, BF16, FLOAT, INT8, REPLAY, LOOP)
DRAWN = (
    ("zh-sentiment-rnn", 20, 1),
    ("zh-sentiment-lstm", 20, 1),
    ("zh-sentiment-lstm", 64, 32),
    ("zh-ner-bilstm", 64, 1),
    (TWO_LAYERS, 64, 1),
    (TWO_LAYERS, 64, 32),
)
TEMPLATE = Path(__file__).with_name("performance.md")


def write(results: Results, out: Path) -> Path:
    """Writes the page into `out` and its pictures into a folder there, replacing older ones; returns its path."""
    folder = out / "performance"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()

    def put(name: str, figure: Figure, alt: str) -> str:
        (folder / f"{name}.png").write_bytes(canvas.write(figure, "image/png"))
        return f"![{alt}]({folder.name}/{name}.png)"

    page = out / "performance.md"
    text = Template(TEMPLATE.read_text("utf-8")).substitute(fields(results, put))
    page.write_text(text.rstrip() + "\n", "utf-8")
    return page


def fields(results: Results, put: Put) -> Fields:
    """Every field of the template. Of a suite that was not run, the first field says so and the others are empty."""
    values: Fields = {"agree": f"{AGREE:g}"}
    sections = (
        (kernels, "kernels", KERNELS),
        (limits, "kernels", LIMITS),
        (servers, "servers", SERVERS),
        (growth, "growth", GROWTH),
        (card, "card", CARD),
        (streaming, "streaming", STREAMING),
        (forgeries, "forgeries", FORGERIES),
        (replicas, "replicas", REPLICAS),
        (client, "client", CLIENT),
    )
    for section, suite, names in sections:
        if suite in results:
            values |= section(results[suite], put)
        else:
            values |= dict.fromkeys(names, "") | {names[0]: f"Not measured yet: `python -m bench {suite}` does."}
    return values


KERNELS = (
    "kernels_machine",
    "targets",
    "sizes",
    "kernels_picture",
    "kernels_table",
    "cases_table",
    "errors_table",
    "left_out",
)
LIMITS = ("limits_how", "limits_tokens", "limits_table")
GROWTH = ("growth_machine", "growth_picture", "growth_table", "growth_more")


def kernels(part: Results, put: Put) -> Fields:
    cases = part["cases"]
    drawn = [case for case in cases if (case["weights"], case["tokens"], case["texts"]) in DRAWN] or cases[:6]
    bars = [(place(case).replace(", ", "\n", 1), over_library(case)) for case in drawn]
    alt = "Time of each way to run a network over the library's, on a logarithmic axis"
    return {
        "kernels_machine": f"{machine(part)} The kernel is `fused-{part['kernel']}`; one core, one thread, process CPU "
        f"time, {part['rounds']} rounds.",
        "targets": targets(cases),
        "sizes": sizes(cases),
        "kernels_picture": put("kernels", pictures.kernels(bars), alt),
        "kernels_table": by_network(cases),
        "cases_table": every_case(cases),
        "errors_table": errors(cases),
        "left_out": left_out(part["left_out"]),
    }


def library(case: Mapping[str, Any]) -> str:
    return LIBRARY[case["cell"]]


def over_library(case: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Contender -> its time over the library's."""
    end = f" / {library(case)}"
    return {name.removesuffix(end): ratio for name, ratio in case["ratios"].items() if name.endswith(end)}


def targets(cases: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for v in verdicts(cases):
        bounds = ["", ""] if v.target.bound is None else [f"{v.target.bound:.2f}", f"{v.target.aim:.2f}"]
        results = [f"{v.median:.2f}", spread(v.spread), place(v.worst), v.outcome]
        rows.append([v.target.name, v.target.ratio, *bounds, *results])
    header = ("what", "ratio of times", "at most", "aim", "median over cases", "worst case", "which", "verdict")
    return table(header, rows)


def sizes(cases: Sequence[Mapping[str, Any]]) -> str:
    """A sentence with the sizes of the one-layer networks."""

    def listed(name: str) -> str:
        *most, last = map(str, sorted({case[name] for case in cases if case["layers"] == 1}))
        return f"{', '.join(most)} and {last}" if most else last

    return f"At one layer these are {listed('tokens')} tokens, in batches of {listed('texts')} texts."


def by_network(cases: Sequence[Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(case["weights"] for case in cases))
    rows = []
    for name in names:
        by_case = [over_library(case) for case in cases if case["weights"] == name]
        rows.append([name, *(middle([ratios[c]["median"] for ratios in by_case if c in ratios]) for c in ORDER)])
    return table(("network", *ORDER), rows)


def middle(values: Sequence[float]) -> str:
    """The median; a dash where nothing was measured."""
    return f"{statistics.median(values):.2f}" if values else "–"


def every_case(cases: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for case in cases:
        ratios = over_library(case)
        cells = [spread(ratios[name]) if name in ratios else "–" for name in ORDER]
        rows.append([place(case), number(case["cpu_us"][library(case)]["median"]), *cells])
    return table(("case", "library, CPU µs", *ORDER), rows)


def errors(cases: Sequence[Mapping[str, Any]]) -> str:
    """For each contender the median and the largest over cases of a case's largest difference."""
    rows = []
    for name in ORDER:
        values = [case["errors"][name] for case in cases if name in case["errors"]]
        if values:
            rows.append([name, f"{statistics.median(values):.0e}", f"{max(values):.0e}"])
    return table(("", "median over cases", "largest"), rows)


def left_out(reasons_by_name: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    lines = [
        f"- {name}: {reason} ({', '.join(weights)})"
        for name, reasons in reasons_by_name.items()
        for reason, weights in reasons.items()
    ]
    return "Left out:\n\n" + "\n".join(lines) if lines else ""


def limits(part: Results, put: Put) -> Fields:
    measured, tokens = part["limits"], max(case["tokens"] for case in part["cases"])
    rows = [
        share(case, measured)
        for case in part["cases"]
        if recurrence_only(case) and case["tokens"] == tokens and case["texts"] in (1, 32)
    ]
    peak = spread(measured["multiply_add_gflops"], 0)
    header = ("hidden units", "texts", "bound by", "fused", "the limit", "share")
    return {
        "limits_how": f"Measured in the same run, on the same core ({measured['how']}): {peak} GF/s of multiply-adds.",
        "limits_tokens": f" at {tokens} tokens",
        "limits_table": table(header, rows),
    }


def recurrence_only(case: Mapping[str, Any]) -> bool:
    """Whether only W_hh is read and multiplied: one layer, one direction, the input looked up."""
    return not case["shipped"] and case["cell"] == "lstm" and case["layers"] == case["directions"] == 1


def share(case: Mapping[str, Any], measured: Mapping[str, Any]) -> list[object]:
    seconds = case["cpu_us"][FUSED]["median"] / 1e6
    if case["texts"] == 1:
        bound, unit, rate = "reading W_hh", "GB/s", case["recurrent_bytes"] / seconds / 1e9
        limit = measured["read_gbytes"][str(16 * case["units"] ** 2)]["median"]
    else:
        bound, unit, rate = "multiply-adds", "GF/s", case["operations"] / seconds / 1e9
        limit = measured["multiply_add_gflops"]["median"]
    return [case["units"], case["texts"], bound, f"{rate:.0f} {unit}", f"{limit:.0f} {unit}", f"{rate / limit:.0%}"]


def growth(part: Results, put: Put) -> Fields:
    rows = []
    for curve in part["curves"].values():
        for name, series in curve["series"].items():
            low, high, fit = series["points"][0], series["points"][-1], series["fit"]
            fitted = ["–", "", ""]
            if fit is not None:
                fitted = [f"{fit['exponent']:.2f}", f"{fit['residual']:.3f}", f"{fit['first']:g} … {fit['last']:g}"]
            ends = [f"{number(p['median'])} at {p['x']:g}" for p in (low, high)]
            rows.append([f"{curve['y']} by {curve['x']}", name, *ends, *fitted])
    header = ("what grows", "series", "first", "last", "exponent", "residual", "fitted over x")
    alt = "Cost against size, one panel for each curve, both axes logarithmic"
    return {
        "growth_machine": f"{machine(part)} One core, {part['rounds']} rounds, kernel `fused-{part['kernel']}`.",
        "growth_picture": put("growth", pictures.growth(list(part["curves"].values())), alt),
        "growth_table": table(header, rows),
        "growth_more": memory(part["curves"].get("memory")),
    }


def memory(curve: Mapping[str, Any] | None) -> str:
    """The memory of one more model; a power law says little, as most memory is used without any."""
    if curve is None:
        return ""
    (series,) = curve["series"].values()
    first, last = series["points"][0], series["points"][-1]
    if first["x"] == last["x"]:
        return ""
    more = (last["median"] - first["median"]) / (last["x"] - first["x"])
    return (
        f"With {first['x']:g} model loaded the process takes {first['median']:.0f} MB, most of it torch and the "
        f"tables; up to {last['x']:g} models, each further one takes {more:.0f} MB more."
    )
