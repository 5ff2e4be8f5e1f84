"""`gatescope memory`, `attribute`, `compare` and `render`: the analyses on the command line."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..client import Client
from ..errors import ServiceError
from .shared import bar, default_model, text_of

_VIEWS = ("gates", "memory", "attribution", "fading", "saturation", "cell")


def add_analyses(commands: Any, ask: Callable[[argparse.ArgumentParser], argparse.ArgumentParser]) -> None:
    memory = _verb(commands, ask, "memory", "how the influence of a token fades with its distance", _memory)
    memory.add_argument("--layer", type=int, default=0)
    memory.add_argument("--direction", default="forward")
    attribute = _verb(commands, ask, "attribute", "which tokens made the label", _attribute)
    attribute.add_argument("--target", help="a label (NER: a tag); default: the predicted one")
    attribute.add_argument("--timestep", type=int, help="NER: whose tag is explained")
    attribute.add_argument("--method", default="secant", help="secant, cell_additive, gradient_x_input or occlusion")
    compare = commands.add_parser(
        "compare", help="several models on one text", description="Several models on one text."
    )
    compare.add_argument("text", help="- reads standard input")
    compare.add_argument("--models", nargs="+", required=True, metavar="NAME")
    ask(compare).set_defaults(run=_compare)
    render = _verb(commands, ask, "render", "a picture of what happened inside", _render)
    render.add_argument("--view", choices=_VIEWS, default="gates")
    render.add_argument("--timestep", type=int, help="of the cell; of an NER attribution")
    render.add_argument("--language", choices=("en", "zh"), default="en")
    render.add_argument("--out", type=Path, required=True, metavar="FILE", help="ends in .png or .svg")


def _verb(
    commands: Any,
    ask: Callable[[argparse.ArgumentParser], argparse.ArgumentParser],
    name: str,
    say: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=say, description=f"Ask a running server for {say}."
    )
    parser.add_argument("text", help="- reads standard input")
    parser.add_argument("--model", help="default: the server's default model")
    ask(parser).set_defaults(run=run)
    return parser


def _memory(options: argparse.Namespace) -> int:
    with Client(options.url) as client:
        model = options.model or default_model(client)
        answer = client.memory(model, text_of(options), layer=options.layer, direction=options.direction)
    if options.json:
        print(answer.model_dump_json(indent=1))
        return 0
    (result,) = answer.results
    fade = result.fading
    largest = max(fade.value) or 1.0
    print("gradient of the output by each token, at its distance from the last one")
    for distance, value, token in zip(fade.distance, fade.value, reversed(result.token_list), strict=True):
        print(f"  {distance:4} {bar(value / largest)} {value:.3e}  {token.text}")
    half = "it does not fade" if fade.half_life_tokens is None else f"half-life {fade.half_life_tokens:.1f} tokens"
    print(half)
    return 0


def _attribute(options: argparse.Namespace) -> int:
    with Client(options.url) as client:
        model = options.model or default_model(client)
        chosen = {"method": options.method, "target": options.target, "timestep": options.timestep}
        answer = client.attribute(model, text_of(options), **{k: v for k, v in chosen.items() if v is not None})
    if options.json:
        print(answer.model_dump_json(indent=1))
        return 0
    (result,) = answer.results
    largest = max(map(abs, result.contributions)) or 1.0
    print(f"{result.target}: logit {result.logit:+.4f}, by {result.method}")
    for token, value in zip(result.token_list, result.contributions, strict=True):
        print(f"  {bar(value / largest)} {value:+.4f}  {token.text}")
    if result.bias is not None:
        print(f"  bias {result.bias:+.4f}; what is missing from the sum: {result.completeness_error:.1e}")
    return 0


def _compare(options: argparse.Namespace) -> int:
    with Client(options.url) as client:
        answer = client.compare(text_of(options), options.models)
    if options.json:
        print(answer.model_dump_json(indent=1))
        return 0
    for m in answer.models:
        best = f"{m.prediction.labels[0].label} {m.prediction.labels[0].score:.3f}" if m.prediction.labels else "NER"
        life, fade = m.fading.half_life_tokens, m.fading
        half = "does not fade" if life is None else f"half-life {life:.1f} tokens"
        ends = f"gradient {fade.value[0]:.2e} at 0, {fade.value[-1]:.2e} at {fade.distance[-1]}"
        print(f"{m.name:22} {best:16} {half:24} {ends}")
    return 0


def _render(options: argparse.Namespace) -> int:
    kinds = {".png": "image/png", ".svg": "image/svg+xml"}
    if options.out.suffix not in kinds:
        raise ServiceError(f"--out is {options.out.name}: a name that ends in .png or .svg is allowed")
    chosen = {"timestep": options.timestep} if options.timestep is not None else {}
    with Client(options.url) as client:
        model = options.model or default_model(client)
        kind = kinds[options.out.suffix]
        picture = client.render(model, text_of(options), options.view, kind, language=options.language, **chosen)
    options.out.write_bytes(picture)
    print(f"{options.out}: {len(picture)} bytes")
    return 0
