"""Each view of `render`: on the model thread its numbers are gathered, and elsewhere they are drawn."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from matplotlib.figure import Figure

from models.analysis.attribution import Attribution
from models.errors import OptionError
from models.inference.analyst import Analyst, Question
from models.inference.inspection import Inspection, Select, Selection, Timesteps, plan
from models.inference.prediction import Inside, Prepared
from models.recurrence.cells import GATES

from . import canvas, cell, curves, heat, paragraph
from .words import Language, say

Draw = Callable[[str], bytes]  # media type -> the picture's bytes
Drawing = Callable[[], Figure]
WIDEST = 128  # timesteps of a map unless others are asked for: the last ones, as its note says
MOST_BARS, MOST_SHADED = 60, 1200  # tokens of an attribution and of a paragraph unless others are asked for


@dataclass(frozen=True)
class View:
    """What is asked for; timesteps and units None: what the view shows by itself."""

    name: str
    layer: int
    direction: str
    target: str | None
    timestep: int | None
    timesteps: Timesteps | None
    units: tuple[int, ...] | None
    language: Language


@dataclass(frozen=True)
class ViewKind:
    """One entry of the table of views. uses: the fields of a request that it has a use for; passes: over the text that
    it takes, None for those of the model's default attribution.
    """

    gather: Callable[[Analyst, Prepared, View], Drawing]
    uses: frozenset[str]
    passes: int | None


def gather(analyst: Analyst, text: Prepared, view: View) -> Draw:
    """The numbers of a view, on the model thread; what comes back draws them anywhere.

    Raises: ActivationsUnavailable, OptionError, SelectionError.
    """
    draw = VIEWS[view.name].gather(analyst, text, view)
    return lambda media_type: canvas.write(draw(), media_type)


def _gates(analyst: Analyst, text: Prepared, view: View) -> Drawing:
    selection = _selection(analyst, text, view)
    names = (
        *_gate_names(analyst),
        *(("cell_state",) if analyst.predictor.shape.cell == "lstm" else ()),
        "hidden_state",
    )
    inside = _inside(analyst, text, view, selection, names)
    values = {name: inside.tensors[name][0, 0] for name in names}
    heading, tokens, units = _heading(analyst, view), _tokens(text, selection), list(selection.units)
    notes, first = _left_out(text, selection, view), selection.timesteps[0]
    return lambda: heat.gates(values, tokens, units, heading, view.language, first, notes)


def _memory(analyst: Analyst, text: Prepared, view: View) -> Drawing:
    _needs_gates(analyst, "memory")
    selection = _selection(analyst, text, view)
    retention = analyst.memory(text, selection, ["retention"]).matrices["retention"]
    heading, tokens = _heading(analyst, view), _tokens(text, selection)
    notes, first = _left_out(text, selection, view), selection.timesteps[0]
    return lambda: heat.memory(retention, tokens, heading, view.language, first, notes)


def _attribution(analyst: Analyst, text: Prepared, view: View) -> Drawing:
    """The window with the most |contribution|, unless another is asked for; bars, boxes and bias are the logit."""
    found = analyst.attribute(text, Question(view.target, view.timestep))
    window = view.timesteps.indices(len(text)) if view.timesteps else _weightiest(found.contributions, MOST_BARS)
    before, after = range(window[0]), range(window[-1] + 1, len(text))
    bars = curves.Bars(
        found.contributions[list(window)],
        [text.tokens[t].text for t in window],
        window[0],
        found.bias,
        _sum_of(text, found, before, view.language),
        _sum_of(text, found, after, view.language),
    )
    between = sorted(set(range(window[0], window[-1] + 1)) - set(window))
    notes = [*_notes(analyst, found, view.language)]
    if between:
        total = float(found.contributions[between].sum())
        notes.insert(
            0, f"{say('not shown', view.language)}: {len(between)} {say('tokens', view.language)}, {total:+.3f}"
        )
    heading = _target(analyst, found, view.language)
    return lambda: curves.attribution(bars, heading, view.language, notes)


def _highlight(analyst: Analyst, text: Prepared, view: View) -> Drawing:
    """The text as a paragraph."""
    found = analyst.attribute(text, Question(view.target, view.timestep))
    window = view.timesteps.indices(len(text)) if view.timesteps else _weightiest(found.contributions, MOST_SHADED)
    tokens = [text.tokens[t] for t in window]
    ends = [0 if t == 0 else text.tokens[t - 1].end for t in window]
    gaps = [
        "" if n == 0 else text.text[end : token.start] for n, (end, token) in enumerate(zip(ends, tokens, strict=True))
    ]
    shaded = paragraph.Shaded([token.text for token in tokens], gaps, found.contributions[list(window)])
    sides = (range(window[0]), range(window[-1] + 1, len(text)))
    notes = [note for side in sides if (note := _sum_of(text, found, side, view.language))]
    heading = _target(analyst, found, view.language)
    return lambda: paragraph.highlight(shaded, heading, view.language, [*notes, *_notes(analyst, found, view.language)])


def _fading(analyst: Analyst, text: Prepared, view: View) -> Drawing:
    curve = analyst.fading(text)
    name = _name(analyst)
    fade = curves.Fade(name, curve.distance.tolist(), curve.value.tolist(), curve.half_life_tokens)
    return lambda: curves.fading([fade], name, view.language)


def _saturation(analyst: Analyst, text: Prepared, view: View) -> Drawing:
    _needs_gates(analyst, "saturation")
    names = tuple(name for name in _gate_names(analyst) if name != "cell_gate")
    selection = _selection(analyst, text, view, everything=True)
    inside = _inside(analyst, text, view, selection, names)
    low = {name: (inside.tensors[name][0, 0] < 0.1).mean(0) for name in names}
    high = {name: (inside.tensors[name][0, 0] > 0.9).mean(0) for name in names}
    heading = _heading(analyst, view)
    return lambda: curves.saturation(low, high, heading, view.language)


def _cell(analyst: Analyst, text: Prepared, view: View) -> Drawing:
    """One step of one unit, U x_t and W S_{t-1} apart."""
    assert view.timestep is not None
    unit = view.units[0] if view.units else 0
    _selection(analyst, text, replace(view, timesteps=Timesteps(view.timestep, view.timestep + 1), units=(unit,)))
    run, recorded = analyst.record(text)
    d = analyst.predictor.shape.directions.index(view.direction)
    values = {name: v[0, :, unit].double() for name, v in recorded[view.layer][d].items()}
    recurrence = analyst.network.encoder.recurrence(view.layer, analyst.predictor.shape.directions[d])
    weights = recurrence.weights.to(torch.float64)
    before = view.timestep + (1 if view.direction == "reverse" else -1)
    is_first = not 0 <= before < len(text)
    states = recorded[view.layer][d]["hidden_state"][0].double()
    state = torch.zeros_like(states[0]) if is_first else states[before]
    x = run.inputs[view.layer][0, view.timestep].double()
    rows = {name: k * weights.units + unit for k, name in enumerate(_gate_names(analyst) or ("hidden_state",))}
    step = cell.CellStep(
        text.tokens[view.timestep].text,
        view.timestep,
        unit,
        {name: float(values[name][view.timestep]) for name in analyst.network.encoder.tensors},
        {k: 0.0 if is_first else float(values[k][before]) for k in values.keys() & {"hidden_state", "cell_state"}},
        {name: float(weights.weight_ih[row] @ x) for name, row in rows.items()},
        {name: float(weights.weight_hh[row] @ state) for name, row in rows.items()},
        {name: float(weights.bias_ih[row] + weights.bias_hh[row]) for name, row in rows.items()},
    )
    words = view.language
    heading = f"{_heading(analyst, view)}, {say('step', words)} {view.timestep}, {say('unit', words)} {unit}"
    return lambda: cell.cell(step, heading, view.language)


def _gate_names(analyst: Analyst) -> tuple[str, ...]:
    return GATES if analyst.predictor.shape.cell == "lstm" else ()


def _selection(analyst: Analyst, text: Prepared, view: View, everything: bool = False) -> Selection:
    steps = view.timesteps or Timesteps(0 if everything else max(0, len(text) - WIDEST))
    return analyst.select(text, view.layer, view.direction, steps, view.units)


def _inside(analyst: Analyst, text: Prepared, view: View, selection: Selection, names: tuple[str, ...]) -> Inside:
    steps = view.timesteps or Timesteps(selection.timesteps[0])
    select = Select((view.layer,), (view.direction,), steps, selection.units)
    (answer,) = analyst.predictor.run([text], plan(Inspection(names, select=select), analyst.predictor.shape))
    assert answer.inside is not None
    return answer.inside


def _tokens(text: Prepared, selection: Selection) -> list[str]:
    return [text.tokens[t].text for t in selection.timesteps]


def _needs_gates(analyst: Analyst, view: str) -> None:
    """Raises: OptionError for an RNN."""
    if not _gate_names(analyst):
        raise OptionError(
            f"the view is {view}, and an RNN has no cell state and no gates: use fading, highlight or gates"
        )


def _weightiest(contributions: np.ndarray[tuple[int, ...], np.dtype[np.float64]], most: int) -> tuple[int, ...]:
    """The window of so many tokens with the most |contribution|; all of a shorter text."""
    if len(contributions) <= most:
        return tuple(range(len(contributions)))
    sums = np.convolve(np.abs(contributions), np.ones(most), "valid")
    first = int(sums.argmax())
    return tuple(range(first, first + most))


def _sum_of(text: Prepared, found: Attribution, timesteps: range, language: Language) -> str | None:
    """``characters 0-157: sum -3.1``; None where there are none."""
    if not timesteps:
        return None
    start, end = text.tokens[timesteps[0]].start, text.tokens[timesteps[-1]].end
    total = float(found.contributions[timesteps.start : timesteps.stop].sum())
    return f"{say('characters', language)} {start}-{end}: {say('sum', language)} {total:+.3f}"


def _left_out(text: Prepared, selection: Selection, view: View) -> list[str]:
    """Which tokens a map does not show."""
    missing = len(text) - len(selection.timesteps)
    if not missing:
        return []
    first, last = selection.timesteps[0], selection.timesteps[-1]
    words = view.language
    return [f"{say('not shown', words)}: {missing} {say('tokens', words)} ({say('shown', words)}: {first} … {last})"]


def _notes(analyst: Analyst, found: Attribution, language: Language) -> list[str]:
    """The method, the bias, the inflation, and a warning where there is one."""
    bias = "" if found.bias is None else f", {say('bias', language)} {found.bias:+.3f}"
    inflation = f", {say('inflation', language)} {found.inflation:.1f}"
    return [f"{found.method}{bias}{inflation}", *([found.warning] if found.warning else [])]


def _name(analyst: Analyst) -> str:
    return analyst.predictor.checkpoint.manifest.name


def _target(analyst: Analyst, found: Attribution, language: Language) -> str:
    label = analyst.outputs[found.output.index]
    return f"{_name(analyst)}, {say('target', language)} {label}, {say('logit', language)} {found.logit:+.3f}"


def _heading(analyst: Analyst, view: View) -> str:
    return f"{_name(analyst)}, {say('layer', view.language)} {view.layer}, {say(view.direction, view.language)}"


_MAP = frozenset({"layer", "direction", "timesteps", "units"})
VIEWS: dict[str, ViewKind] = {
    "highlight": ViewKind(_highlight, frozenset({"target", "timestep", "timesteps"}), None),
    "gates": ViewKind(_gates, _MAP, 1),
    "memory": ViewKind(_memory, _MAP, 4),
    "attribution": ViewKind(_attribution, frozenset({"target", "timestep", "timesteps"}), None),
    "fading": ViewKind(_fading, frozenset(), 4),
    "saturation": ViewKind(_saturation, _MAP, 1),
    "cell": ViewKind(_cell, frozenset({"layer", "direction", "timestep", "units"}), 1),
}
