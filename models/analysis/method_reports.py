"""Which attribution method finds the tokens that matter, on one model: every method's faithfulness over the same texts.

The model's default method is read off these reports.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..network.network import Tagger
from .attribution import Attribution, Options, Output
from .faithfulness import EXHAUSTIVE_TOKENS, Faithfulness, best_subsets, faithfulness
from .methods import METHODS, AttributionMethod, TextCost, attribute
from .subject import Subject, TextRuns

RANDOM, BEST = "random", "best"  # what stands beside the methods: chance, and the best subset of a short text
AFFORDABLE = 64  # plain predictions that a default method may cost for a text of `LONG` tokens
LONG = 512
NEAR_COMPREHENSIVENESS, NEAR_SUFFICIENCY = 0.05, 0.10  # how far from the best a default may be
TEXTS = 80  # of a sample
_SHORTEST = (60, 30, 10)  # characters of a sample's texts: the first of these that leaves enough texts
_LONGEST = 200
Progress = Callable[[Iterable[TextRuns], int, str], Iterable[TextRuns]]  # (texts, total, what) -> the same, shown


@dataclass(frozen=True)
class MethodReport:
    """Means over the texts. inflation: median and largest; predictions: what an answer costs, in plain predictions of
    the same text, and `predictions_long` of a text of `LONG` tokens; None for what is no method.
    """

    method: str
    texts: int
    comprehensiveness: float
    sufficiency: float
    deletion: list[float]
    insertion: list[float]
    inflation_median: float | None = None
    inflation_largest: float | None = None
    predictions: float | None = None
    predictions_long: float | None = None


def sample(lengths: Sequence[int], most: int = TEXTS) -> list[int]:
    """Places of the texts that are measured, by their lengths in characters: of up to `_LONGEST`, long enough that an
    order of tokens says something, evenly spaced over what is there.
    """
    for shortest in _SHORTEST:
        places = [n for n, length in enumerate(lengths) if shortest <= length <= _LONGEST]
        if len(places) >= most:
            break
    return [places[n * len(places) // most] for n in range(most)] if len(places) > most else places


def explained_output(runs: TextRuns) -> Output | None:
    """What is explained of a text: the predicted label or, of a tagger, its first decoded entity's first tag."""
    if not isinstance(runs.network, Tagger):
        return Output(int(runs.outputs().argmax()))
    return next((Output(tag, t) for t, tag in enumerate(runs.decoded()) if tag), None)  # tag 0 is O


def method_reports(
    texts: Sequence[TextRuns],
    methods: Sequence[str],
    progress: Progress,
) -> list[MethodReport]:
    """Every method, and `RANDOM` beside them, over the same texts; `BEST` too where every text is short.

    Texts of a tagger without an entity say nothing and are left out.
    """
    draws = np.random.default_rng(0)
    found: dict[str, list[Faithfulness]] = {name: [] for name in (*methods, RANDOM)}
    answers: dict[str, list[Attribution]] = {name: [] for name in methods}
    explained: list[TextRuns] = []
    exhaustive = all(len(runs) <= EXHAUSTIVE_TOKENS for runs in texts)
    for runs in progress(texts, len(texts), "texts"):
        output = explained_output(runs)
        if output is None:
            continue
        explained.append(runs)
        for name in methods:
            answers[name].append(attribute(Subject(runs, output), name))
            found[name].append(faithfulness(runs, output, answers[name][-1].contributions))
        found[RANDOM].append(faithfulness(runs, output, draws.random(len(runs))))
        if exhaustive:
            found.setdefault(BEST, []).append(best_subsets(runs, output))
    costs = [TextCost(len(runs), runs.reads_prefixes_at_once, Options()) for runs in explained]
    return [_report(name, rows, answers.get(name, []), costs) for name, rows in found.items() if rows]


def methods_for(cell: str, most_predictions: float = math.inf, one_pass: bool = True) -> list[str]:
    """Names of the methods for a cell that cost at most so many plain predictions of a text of `LONG` tokens."""
    cost = TextCost(LONG, one_pass, Options())
    return [
        name for name, method in METHODS.items() if cell in method.cells and _long(method, cost) <= most_predictions
    ]


def chosen_default(reports: Sequence[MethodReport]) -> str:
    """The method that answers where none is named; `reports` hold one that is affordable at least.

    Of those within 5 % of the best comprehensiveness, among the affordable: those near the best sufficiency too, of
    which a decomposition for study comes last and the most comprehensive first; else the most sufficient.
    """
    rows, chance = affordable(reports), next(r for r in reports if r.method == RANDOM)
    best = max(r.comprehensiveness for r in rows)
    near = [r for r in rows if r.comprehensiveness >= best - NEAR_COMPREHENSIVENESS * abs(best)]
    # as a share of what the best has more than chance: sufficiency may be near zero, where a share of it says nothing
    sufficient = max(r.sufficiency for r in rows)
    least = sufficient - NEAR_SUFFICIENCY * (sufficient - chance.sufficiency)
    if both := [r for r in near if r.sufficiency >= least]:
        return max(both, key=lambda r: (not METHODS[r.method].for_study, r.comprehensiveness)).method
    return max(near, key=lambda r: r.sufficiency).method


def affordable(reports: Sequence[MethodReport]) -> list[MethodReport]:
    return [r for r in reports if r.predictions_long is not None and r.predictions_long <= AFFORDABLE]


def _report(
    name: str, rows: Sequence[Faithfulness], answers: Sequence[Attribution], costs: Sequence[TextCost]
) -> MethodReport:
    method: Mapping[str, float] = {}
    if answers:
        inflation = [a.inflation for a in answers]
        price = METHODS[name].price
        method = {
            "inflation_median": float(np.median(inflation)),
            "inflation_largest": float(np.max(inflation)),
            "predictions": float(np.mean([price(cost) / cost.tokens for cost in costs])),
            "predictions_long": _long(METHODS[name], replace(costs[0], tokens=LONG)),
        }
    return MethodReport(
        name,
        len(rows),
        float(np.mean([row.comprehensiveness for row in rows])),
        float(np.mean([row.sufficiency for row in rows])),
        np.mean([row.deletion for row in rows], axis=0).tolist(),
        np.mean([row.insertion for row in rows], axis=0).tolist(),
        **method,
    )


def _long(method: AttributionMethod, cost: TextCost) -> float:
    return method.price(cost) / cost.tokens
