"""`gatescope compare`, `intervene`, `top` and `render`."""

import argparse
import json
from pathlib import Path
from typing import Any, get_args

from gatescope import InterveneAnswer, Result
from gatescope.answers import ComparedModel

from ..wire.schemas import Direction, TensorName
from .analyses import half_life
from .arguments import Parser, UsageError, as_type, index, number, timesteps, word
from .shared import ask, client_of, numbers, text_of
from .terminal import check_writable, print_json, read_text

VIEWS = ("highlight", "gates", "memory", "attribution", "fading", "saturation", "cell")  # as a test says of the table
_PICTURES = {".png": "image/png", ".svg": "image/svg+xml"}
_DIRECTIONS, _TENSORS = get_args(Direction), get_args(TensorName)
_CHANGE = ("target", "layer", "direction", "op", "value", "units", "timesteps")


def add_changing(commands: Any) -> None:
    _add_compare(commands)
    _add_intervene(commands)
    _add_top(commands)
    _add_render(commands)


def _add_compare(commands: Any) -> None:
    compare: Parser = commands.add_parser(
        "compare",
        help="several models on one text, or two texts on one model",
        description="Several models on one text: label, fading and half-life. Or, without --models, two texts on one "
        "model: the distance of the states of every pair of equal tokens.",
        epilog='examples:\n  gatescope compare --models zh-sentiment-rnn zh-sentiment-lstm "酒店服务一点也不好"\n'
        '  gatescope compare --model en-sentiment-lstm "not bad" "not good"',
    )
    compare.add_texts(most=2)
    compare.add_list("--models", compare, word, least=2, metavar="NAME", help="two models or more, of one text")
    compare.add_argument("--method", metavar="NAME", help="of attribution; default: the first model's")
    ask(compare).set_defaults(run=_compare)


def _add_intervene(commands: Any) -> None:
    intervene: Parser = commands.add_parser(
        "intervene",
        help="the prediction after a change of a gate, a unit or a state",
        description="The prediction before and after a change of a tensor; with --sweep, after the change of each unit "
        "or timestep alone.",
        epilog="examples:\n  gatescope intervene --target forget_gate --op zero --timesteps 3 "
        '"酒店不好"\n  gatescope intervene --model zh-sentiment-lstm --op zero --sweep timesteps "酒店不好"',
    )
    intervene.add_texts()
    change = intervene.add_argument_group("change")
    change.add_argument("--target", choices=_TENSORS, default="forget_gate", help="the tensor that is changed")
    change.add_argument("--layer", type=as_type(index), default=0, metavar="N", help="from 0")
    change.add_argument("--direction", choices=_DIRECTIONS, default="forward", help="of the layer")
    intervene.add_list("--timesteps", change, index, metavar="T", help="from 0; default: all")
    intervene.add_list("--units", change, index, metavar="N", help="from 0; default: all")
    change.add_argument("--op", choices=("set", "add", "scale", "zero"), default="set", help="what is done")
    change.add_argument("--value", type=as_type(number), default=0.0, metavar="X", help="of set, add and scale")
    change.add_argument("--sweep", choices=("units", "timesteps"), help="change each of them alone")
    change.add_argument(
        "--interventions", metavar="JSON", help="a list of changes as HTTP takes them, made beside a sweep or alone"
    )
    ask(intervene).set_defaults(run=_intervene)


def _add_top(commands: Any) -> None:
    top: Parser = commands.add_parser(
        "top",
        help="the tokens at which one unit is largest",
        description="The tokens of some texts at which one unit of a tensor is largest.",
        epilog='example:\n  gatescope top --model en-sentiment-lstm --unit 3 --top-k 5 "not bad at all" "a great film"',
    )
    top.add_texts(most=256)
    top.add_argument("--unit", type=as_type(index), required=True, metavar="N", help="from 0")
    top.add_argument("--layer", type=as_type(index), default=0, metavar="N", help="from 0")
    top.add_argument("--direction", choices=_DIRECTIONS, default="forward", help="of the layer")
    top.add_argument("--tensor", choices=_TENSORS, default="hidden_state", help="which is looked at")
    top.add_argument("--top-k", type=as_type(index), default=10, metavar="K", help="how many tokens")
    ask(top).set_defaults(run=_top)


def _add_render(commands: Any) -> None:
    render: Parser = commands.add_parser(
        "render",
        help="a picture of what happened inside",
        description="A picture, PNG or SVG by the name of the file.",
        epilog='example:\n  gatescope render --view gates --timesteps 0:20 --out gates.svg "酒店服务一点也不好"',
    )
    render.add_texts()
    what = render.add_argument_group("picture")
    what.add_argument("--view", choices=VIEWS, default="gates", help="what is drawn")
    what.add_argument("--layer", type=as_type(index), metavar="N", help="from 0; default: 0")
    what.add_argument("--direction", choices=_DIRECTIONS, help="of the layer; default: forward")
    render.add_list("--units", what, index, metavar="N", help="from 0; default: chosen by the view")
    what.add_argument("--target", metavar="LABEL", help="of an attribution; default: the predicted one")
    what.add_argument("--timestep", type=as_type(index), metavar="T", help="of the cell; of an NER attribution")
    what.add_argument("--timesteps", type=as_type(timesteps), metavar="START:STOP:STRIDE", help="default: all")
    what.add_argument("--language", choices=("en", "zh"), default="en", help="of the labels")
    what.add_argument("--out", type=Path, required=True, metavar="FILE", help="ends in .png or .svg")
    ask(render).set_defaults(run=_render)


def _compare(options: argparse.Namespace) -> int:
    texts = [read_text(text) for text in options.texts]
    if options.models is None:
        if len(texts) != 2:
            raise UsageError("compare takes --models and one text, or two texts and --model: found one text alone")
        return _compare_texts(options, *texts)
    if len(texts) != 1 or options.model:
        raise UsageError("compare with --models takes one text and no --model: leave the other out")
    chosen = {} if options.method is None else {"method": options.method}
    with client_of(options) as client:
        answer = client.compare(texts[0], options.models, **chosen)
    if options.json:
        print_json(answer.raw)
        return 0
    for model in answer.models:
        print(_compared(model))
    return 0


def _compared(model: ComparedModel) -> str:
    fading = model.fading
    ends = f"gradient {fading.value[0]:.2e} at 0, {fading.value[-1]:.2e} at {fading.distance[-1]}"
    return f"{model.name:22} {_best(model.prediction):24} {half_life(fading):24} {ends}"


def _best(prediction: Result) -> str:
    if prediction.labels:
        return f"{prediction.labels[0].label} {prediction.labels[0].score:.3f}"
    return ", ".join(f"{entity.label} {entity.text}" for entity in prediction.entities or []) or "no entity"


def _compare_texts(options: argparse.Namespace, first: str, second: str) -> int:
    with client_of(options) as client:
        answer = client.compare_texts(first, second, options.model)
    if options.json:
        print_json(answer.raw)
        return 0
    for prediction in answer.predictions:
        print(_best(prediction))
    print("distance of the top layer's hidden states, at tokens that both texts have")
    for (i, _), distance in zip(answer.aligned, answer.distance, strict=True):
        print(f"  {distance:8.4f}  {answer.token_lists[0][i].text}")
    return 0


def _intervene(options: argparse.Namespace) -> int:
    interventions = [] if options.interventions is None else _changes(options.interventions)
    change = {name: getattr(options, name) for name in _CHANGE if getattr(options, name) is not None}
    sweep = None
    if options.sweep:
        if options.sweep in change:
            raise UsageError(f"--sweep {options.sweep} runs over --{options.sweep}: leave that one out")
        sweep = change | {"over": options.sweep}
    elif options.interventions is None:
        interventions = [change]
    with client_of(options) as client:
        answer = client.intervene(text_of(options), interventions, options.model, sweep=sweep)
    if options.json:
        print_json(answer.raw)
        return 0
    _print_intervention(answer, options.sweep)
    return 0


def _changes(text: str) -> list[Any]:
    """Raises: UsageError."""
    try:
        changes = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(f"--interventions is {text[:60]!r}: a JSON list of objects is allowed") from None
    if not isinstance(changes, list):
        raise UsageError(f"--interventions is {text[:60]!r}: a JSON list of objects is allowed")
    return changes


def _print_intervention(answer: InterveneAnswer, over: str | None) -> None:
    print(f"before  {_best(answer.baseline)}")
    print(f"after   {_best(answer.intervened)}")
    if answer.baseline.labels:
        print(f"logits changed by {numbers(answer.delta_logits)}")
    for entry in answer.sweep:
        changes = entry.delta_logits if answer.baseline.labels else [max(map(abs, row)) for row in entry.delta_logits]
        print(f"  {over} {entry.index:4}  {numbers(changes)}")


def _top(options: argparse.Namespace) -> int:
    texts = [read_text(text) for text in options.texts]
    with client_of(options) as client:
        answer = client.top(
            texts,
            options.unit,
            options.model,
            layer=options.layer,
            direction=options.direction,
            tensor=options.tensor,
            top_k=options.top_k,
        )
    if options.json:
        print_json(answer.raw)
        return 0
    for found in answer.top:
        print(f"{found.value:+.4f}  {found.text:12} text {found.input}, token {found.timestep}")
    return 0


def _render(options: argparse.Namespace) -> int:
    media_type = _PICTURES.get(options.out.suffix)
    if media_type is None:
        raise UsageError(f"--out is {str(options.out)!r}: a name that ends in .png or .svg is allowed")
    path = check_writable(options.out)
    names = ("layer", "direction", "units", "target", "timestep", "timesteps", "language")
    chosen = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    with client_of(options) as client:
        picture = client.render(text_of(options), options.view, options.model, media_type=media_type, **chosen)
    path.write_bytes(picture)
    print(f"{path}: {len(picture)} bytes")
    return 0
