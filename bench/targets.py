"""The ratios that were asked for, and what was found: each over every case that it speaks of, the worst one judged."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .contenders import BF16, FUSED, LIBRARY, LOOP, RECORDED
from .graphs import INT8

Case = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """over / under is to be at most `at_least`, and better `aim`; both None: it is told, and nothing was asked."""

    name: str
    over: str
    under: str
    at_least: float | None
    aim: float | None
    of: Callable[[Case], bool]

    @property
    def ratio(self) -> str:
        return f"{self.over} / {self.under}"


@dataclass(frozen=True)
class Verdict:
    """median: over the cases; worst: the case of the largest ratio."""

    target: Target
    cases: int
    within: int
    median: float
    worst: Case

    @property
    def spread(self) -> dict[str, float]:
        """Of the worst case: median, low, high."""
        found: dict[str, float] = self.worst["ratios"][self.target.ratio]
        return found

    @property
    def missed(self) -> bool:
        return self.target.at_least is not None and self.spread["median"] > self.target.at_least

    @property
    def said(self) -> str:
        if self.target.at_least is None or self.target.aim is None:
            return "no target"
        if self.missed:
            return "missed" if not self.within else f"missed in {self.cases - self.within} of {self.cases} cases"
        return "aim reached" if self.spread["median"] <= self.target.aim else "met"

    @property
    def sentence(self) -> str:
        its, found = self.target, self.spread["median"]
        return f"{its.name}: {its.ratio} is {found:.2f} at {place(self.worst)}, at most {its.at_least} is asked."


def _lstm(layers: int, directions: int, tokens: int | None = None, texts: int | None = None) -> Callable[[Case], bool]:
    wanted = {"cell": "lstm", "layers": layers, "directions": directions, "tokens": tokens, "texts": texts}
    return lambda case: all(case[name] == value for name, value in wanted.items() if value is not None)


LSTM, RNN = LIBRARY["lstm"], LIBRARY["rnn"]
TARGETS = (
    Target("LSTM, one layer, all sizes", FUSED, LSTM, 0.55, 0.30, _lstm(1, 1)),
    Target("BiLSTM, one layer, all sizes", FUSED, LSTM, None, None, _lstm(1, 2)),
    Target("BiLSTM 256, two layers, 64 tokens, 1 text", FUSED, LSTM, 0.50, 0.40, _lstm(2, 2, 64, 1)),
    Target("BiLSTM 256, two layers, 64 tokens, 32 texts", FUSED, LSTM, 0.80, 0.60, _lstm(2, 2, 64, 32)),
    Target("RNN, all sizes", FUSED, RNN, 0.60, 0.30, lambda case: bool(case["cell"] == "rnn")),
    Target("All gates beside none", RECORDED, FUSED, 1.15, 1.05, lambda case: bool(case["cell"] == "lstm")),
    Target("All gates beside a loop that keeps them", RECORDED, LOOP, 0.35, 0.15, lambda case: True),
    Target("bfloat16 beside ONNX Runtime's int8, 1 text", BF16, INT8, 1.1, 0.8, lambda case: bool(case["texts"] == 1)),
)


def verdicts(cases: Sequence[Case]) -> list[Verdict]:
    """One for each target that some case speaks of."""
    found = []
    for target in TARGETS:
        told = [case for case in cases if target.of(case) and target.ratio in case["ratios"]]
        if told:
            found.append(verdict(target, told))
    return found


WORSE = 1.3  # times what is stored is a regression: less is the machine's


def regressed(cases: Sequence[Case], stored: Sequence[Case]) -> list[str]:
    """A sentence for each ratio that misses what was asked of it and is worse than it was when it was stored."""
    before = {place(case): case["ratios"] for case in stored}
    said = []
    for target in TARGETS:
        for case in cases:
            found = case["ratios"].get(target.ratio) if target.of(case) else None
            if found is None or target.at_least is None:
                continue
            was = before.get(place(case), {}).get(target.ratio)
            allowed = max(target.at_least, WORSE * was["median"] if was else 0.0)
            if found["median"] > allowed:
                where = f"{target.ratio} is {found['median']:.2f} at {place(case)}"
                said.append(f"{target.name}: {where}, at most {allowed:.2f} is allowed here.")
    return said


def verdict(target: Target, cases: Sequence[Case]) -> Verdict:
    medians = [case["ratios"][target.ratio]["median"] for case in cases]
    bound = float("inf") if target.at_least is None else target.at_least
    worst = cases[medians.index(max(medians))]
    return Verdict(target, len(cases), sum(m <= bound for m in medians), statistics.median(medians), worst)


def place(case: Case) -> str:
    texts = "1 text" if case["texts"] == 1 else f"{case['texts']} texts"
    return f"{case['weights']}, {case['tokens']} tokens, {texts}"
