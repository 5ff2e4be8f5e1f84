"""`gatescope memory` and `attribute`: what is remembered, and which tokens made the label."""

import argparse
from collections.abc import Sequence
from typing import Any, get_args

from gatescope.answers import Fading

from ..wire.schemas import Direction
from ..wire.schemas_analyses import Measure
from .arguments import Parser, as_type, index, number, one_of, timesteps
from .shared import ask, client_of, text_of
from .terminal import bar, print_json


def add_analyses(commands: Any) -> None:
    memory = commands.add_parser(
        "memory",
        help="how the influence of a token fades with its distance",
        description="The gradient of the output by each token, against its distance from the last one.",
        epilog='example:\n  gatescope memory --model zh-sentiment-lstm "酒店服务一点也不好"',
    )
    memory.add_texts()
    matrices = memory.add_argument_group("retention and mass, in the answer's JSON")
    measures = get_args(Measure)
    memory.add_list("--measures", matrices, one_of(measures), metavar="NAME", help=f"of {', '.join(measures)}")
    matrices.add_argument("--layer", type=as_type(index), default=0, metavar="N", help="from 0")
    matrices.add_argument("--direction", choices=get_args(Direction), default="forward", help="of the layer")
    memory.add_list("--units", matrices, index, metavar="N", help="from 0; default: all")
    matrices.add_argument(
        "--timesteps",
        type=as_type(timesteps),
        metavar="START:STOP:STRIDE",
        help="default: the last 256",
    )
    ask(memory).set_defaults(run=_memory)
    _add_attribute(commands)


def _add_attribute(commands: Any) -> None:
    attribute: Parser = commands.add_parser(
        "attribute",
        help="which tokens made the label",
        description="The contribution of each token to the logit of a label.",
        epilog='example:\n  gatescope attribute --model zh-sentiment-lstm "酒店服务一点也不好"',
    )
    attribute.add_texts()
    attribute.add_argument("--target", metavar="LABEL", help="a label (NER: a tag); default: the predicted one")
    attribute.add_argument("--timestep", type=as_type(index), metavar="T", help="NER: whose tag is explained")
    attribute.add_argument("--method", metavar="NAME", help="default: the model's default_attribution")
    attribute.add_argument("--permutations", type=as_type(index), metavar="N", help="shapley: how many, an even number")
    attribute.add_argument(
        "--wanted-error",
        type=as_type(number),
        metavar="X",
        help="shapley: go on until every standard error is below it",
    )
    ask(attribute).set_defaults(run=_attribute)


def _memory(options: argparse.Namespace) -> int:
    with client_of(options) as client:
        answer = client.memory(text_of(options), options.model, binary=False, **_matrices(options))
    if options.json or options.measures:
        print_json(answer.raw)
        return 0
    (result,) = answer.results
    fading = result.fading
    largest = max(fading.value) or 1.0
    print("gradient of the output by each token, at its distance from the last one")
    for distance, value, token in zip(fading.distance, fading.value, reversed(result.token_list), strict=True):
        print(f"  {distance:4} {bar(value / largest)} {value:.3e}  {token.text}")
    print(half_life(fading))
    return 0


def _matrices(options: argparse.Namespace) -> dict[str, Any]:
    names = ("layer", "direction", "units", "timesteps", "measures")
    return {name: getattr(options, name) for name in names}


def half_life(fading: Fading) -> str:
    if fading.half_life_tokens is None:
        return f"no half-life: {fading.half_life_note or 'nothing fades'}"
    return f"half-life {fading.half_life_tokens:.1f} tokens"


def _attribute(options: argparse.Namespace) -> int:
    names = ("method", "target", "timestep", "permutations", "wanted_error")
    with client_of(options) as client:
        chosen = {name: value for name in names if (value := getattr(options, name)) is not None}
        answer = client.attribute(text_of(options), options.model, **chosen)
    if options.json:
        print_json(answer.raw)
        return 0
    (result,) = answer.results
    largest = max(map(abs, result.contributions)) or 1.0
    print(f"{result.target}: logit {result.logit:+.4f}, by {result.method}")
    errors: Sequence[float | None] = result.standard_error or [None] * len(result.contributions)
    for token, value, error in zip(result.token_list, result.contributions, errors, strict=True):
        spread = "" if error is None else f" ± {error:.4f}"
        print(f"  {bar(value / largest)} {value:+.4f}{spread}  {token.text}")
    if result.bias is not None:
        print(f"  bias {result.bias:+.4f}; what is missing from the sum: {result.completeness_error:.1e}")
    print(f"  inflation {result.inflation:.2f}: the sizes of the contributions over what there is to explain")
    if result.warning:
        print(result.warning)
    return 0
