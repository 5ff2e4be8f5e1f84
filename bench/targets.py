"""The targets for ratios, and the verdict on each: by the worst of the cases that the target applies to."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .contenders import BF16, FUSED, LIBRARY, LOOP, RECORDED
from .graphs import INT8

Case = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """The ratio over / under must be at most `bound`, and ideally `aim`; both None: reported without a target."""

    name: str
    over: str
    under: str
    bound: float | None
    aim: float | None
    applies: Callable[[Case], bool]

    @property
    def ratio(self) -> str:
        return f"{self.over} / {self.under}"


@dataclass(frozen=True)
class Verdict:
    """median: over the cases; worst: the case with the largest ratio; within: how many cases meet the target."""

    target: Target
    cases: int
    within: int
    median: float
    worst: Case

    @property
    def spread(self) -> dict[str, float]:
        """Median, low and high of the worst case."""
        ratio: dict[str, float] = self.worst["ratios"][self.target.ratio]
        return ratio

    @property
    def missed(self) -> bool:
        return self.target.bound is not None and self.spread["median"] > self.target.bound

    @property
    def outcome(self) -> str:
        if self.target.bound is None or self.target.aim is None:
            return "no target"
        if self.missed:
            return "missed" if not self.within else f"missed in {self.cases - self.within} of {self.cases} cases"
        return "aim reached" if self.spread["median"] <= self.target.aim else "met"

    @property
    def sentence(self) -> str:
        target, ratio = self.target, self.spread["median"]
        return f"{target.name}: {target.ratio} is {ratio:.2f} at {place(self.worst)}, at most {target.bound} is asked."


def _lstm(layers: int, directions: int, tokens: int | None = None, texts: int | None = None) -> Callable[[Case], bool]:
    required = {"cell": "lstm", "layers": layers, "directions": directions, "tokens": tokens, "texts": texts}
    return lambda case: all(case[name] == value for name, value in required.items() if value is not None)


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
    """One for each target that applies to at least one case."""
    judged = []
    for target in TARGETS:
        applicable = [case for case in cases if target.applies(case) and target.ratio in case["ratios"]]
        if applicable:
            judged.append(verdict(target, applicable))
    return judged


WORSE = 1.3  # a ratio above this many times the stored one is a regression; below, the machine's noise


def regressed(cases: Sequence[Case], stored: Sequence[Case]) -> list[str]:
    """A sentence for each ratio that misses its target and is worse than the stored one."""
    before = {place(case): case["ratios"] for case in stored}
    sentences = []
    for target in TARGETS:
        for case in cases:
            ratio = case["ratios"].get(target.ratio) if target.applies(case) else None
            if ratio is None or target.bound is None:
                continue
            stored_ratio = before.get(place(case), {}).get(target.ratio)
            allowed = max(target.bound, WORSE * stored_ratio["median"] if stored_ratio else 0.0)
            if ratio["median"] > allowed:
                where = f"{target.ratio} is {ratio['median']:.2f} at {place(case)}"
                sentences.append(f"{target.name}: {where}, at most {allowed:.2f} is allowed here.")
    return sentences


def verdict(target: Target, cases: Sequence[Case]) -> Verdict:
    medians = [case["ratios"][target.ratio]["median"] for case in cases]
    bound = float("inf") if target.bound is None else target.bound
    worst = cases[medians.index(max(medians))]
    return Verdict(target, len(cases), sum(m <= bound for m in medians), statistics.median(medians), worst)


def place(case: Case) -> str:
    texts = "1 text" if case["texts"] == 1 else f"{case['texts']} texts"
    return f"{case['weights']}, {case['tokens']} tokens, {texts}"
