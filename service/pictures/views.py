"""Each view of `render`: on the model thread its numbers are gathered, and elsewhere they are drawn."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure

from models.errors import ActivationsUnavailable
from models.inference.analyst import Analyst, Question
from models.inference.inspection import Inspection, Select, Selection, Timesteps, plan
from models.inference.prediction import Inside, Prepared
from models.recurrence.cells import GATES

from . import canvas, cell, curves, heat
from .canvas import Language, say

Draw = Callable[[str], bytes]  # media type -> the picture's bytes
WIDEST = 128  # timesteps of a picture unless others are asked for: the last ones, as its axis says


@dataclass(frozen=True)
class View:
    """What is asked for; timesteps and units None: the last `WIDEST`, and all."""

    name: str
    layer: int
    direction: str
    target: str | None
    timestep: int | None
    timesteps: Timesteps | None
    units: tuple[int, ...] | None
    language: Language


def gather(analyst: Analyst, text: Prepared, view: View) -> Draw:
    """The numbers of a view, on the model thread; what comes back draws them anywhere.

    Raises: ActivationsUnavailable, OptionError, SelectionError.
    """
    makers = {"gates": _gates, "memory": _memory, "attribution": _attribution, "fading": _fading,
              "saturation": _saturation, "cell": _cell}  # fmt: skip
    draw = makers[view.name](analyst, text, view)
    return lambda media_type: canvas.write(draw(), media_type)


def _gates(analyst: Analyst, text: Prepared, view: View) -> Callable[[], Figure]:
    selection = _selection(analyst, text, view)
    names = (
        *_gate_names(analyst),
        *(("cell_state",) if analyst.predictor.shape.cell == "lstm" else ()),
        "hidden_state",
    )
    inside = _inside(analyst, text, view, selection, names)
    values = {name: inside.tensors[name][0, 0] for name in names}
    title, tokens = _title(analyst, view), _tokens(text, selection)
    return lambda: heat.gates(values, tokens, list(selection.units), title, view.language, selection.timesteps[0])


def _memory(analyst: Analyst, text: Prepared, view: View) -> Callable[[], Figure]:
    selection = _selection(analyst, text, view)
    found = analyst.memory(text, selection, ["retention"]).matrices["retention"]
    title, tokens = _title(analyst, view), _tokens(text, selection)
    return lambda: heat.memory(found, tokens, title, view.language, selection.timesteps[0])


def _attribution(analyst: Analyst, text: Prepared, view: View) -> Callable[[], Figure]:
    a = analyst.attribute(text, Question(view.target, view.timestep))
    window = (view.timesteps or Timesteps(max(0, len(text) - WIDEST))).indices(len(text))
    title = f"{_name(analyst)}, {say('target', view.language)} {analyst.outputs[a.output.index]}, logit {a.logit:+.3f}"
    shown, tokens = a.contributions[list(window)], [text.tokens[t].text for t in window]
    return lambda: curves.attribution(shown, tokens, a.bias, title, view.language, window[0])


def _fading(analyst: Analyst, text: Prepared, view: View) -> Callable[[], Figure]:
    f = analyst.fading(text)
    name = _name(analyst)
    fade = curves.Fade(name, f.distance.tolist(), f.value.tolist(), f.half_life_tokens)
    return lambda: curves.fading([fade], name, view.language)


def _saturation(analyst: Analyst, text: Prepared, view: View) -> Callable[[], Figure]:
    names = tuple(name for name in _gate_names(analyst) if name != "cell_gate")
    if not names:
        raise ActivationsUnavailable("forget_gate", ("hidden_state",))
    selection = _selection(analyst, text, view, everything=True)
    inside = _inside(analyst, text, view, selection, names)
    low = {name: (inside.tensors[name][0, 0] < 0.1).mean(0) for name in names}
    high = {name: (inside.tensors[name][0, 0] > 0.9).mean(0) for name in names}
    title = _title(analyst, view)
    return lambda: curves.saturation(low, high, title, view.language)


def _cell(analyst: Analyst, text: Prepared, view: View) -> Callable[[], Figure]:
    """One step of one unit, U x_t and W S_{t-1} apart."""
    assert view.timestep is not None
    unit = view.units[0] if view.units else 0
    one = View(
        view.name,
        view.layer,
        view.direction,
        None,
        None,
        Timesteps(view.timestep, view.timestep + 1),
        (unit,),
        view.language,
    )
    _selection(analyst, text, one)
    run, recorded = analyst.record(text)
    d = analyst.predictor.shape.directions.index(view.direction)
    shown = {name: v[0, :, unit].double() for name, v in recorded[view.layer][d].items()}
    weights = analyst.network.encoder.recurrence(view.layer, analyst.predictor.shape.directions[d]).weights.to(
        torch.float64
    )
    before = view.timestep + (1 if view.direction == "reverse" else -1)
    is_first = not 0 <= before < len(text)
    whole = recorded[view.layer][d]["hidden_state"][0].double()
    state = torch.zeros_like(whole[0]) if is_first else whole[before]
    x = run.inputs[view.layer][0, view.timestep].double()
    rows = {name: k * weights.units + unit for k, name in enumerate(_gate_names(analyst) or ("hidden_state",))}
    step = cell.CellStep(
        text.tokens[view.timestep].text, view.timestep, unit,
        {name: float(shown[name][view.timestep]) for name in analyst.network.encoder.tensors},
        {k: 0.0 if is_first else float(shown[k][before]) for k in shown.keys() & {"hidden_state", "cell_state"}},
        {name: float(weights.weight_ih[row] @ x) for name, row in rows.items()},
        {name: float(weights.weight_hh[row] @ state) for name, row in rows.items()},
        {name: float(weights.bias_ih[row] + weights.bias_hh[row]) for name, row in rows.items()},
    )  # fmt: skip
    title = (
        f"{_title(analyst, view)}, {say('step', view.language)} {view.timestep}, {say('unit', view.language)} {unit}"
    )
    return lambda: cell.cell(step, title, view.language)


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


def _name(analyst: Analyst) -> str:
    return analyst.predictor.checkpoint.manifest.name


def _title(analyst: Analyst, view: View) -> str:
    return f"{_name(analyst)}, {say('layer', view.language)} {view.layer}, {say(view.direction, view.language)}"
