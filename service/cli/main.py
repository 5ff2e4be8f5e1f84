"""The command line, `gatescope VERB`; `python -m service` is the same.

serve starts the server; list, predict, inspect, memory, attribute, compare and render ask one; train and evaluate make
and measure models.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import httpx

from models.errors import ModelError

from ..client import Client, ProblemError
from ..errors import ServiceError
from .analyses import add_analyses
from .shared import bar, default_model, text_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; a mistake of the user's ends with one sentence and status 2, never with a traceback."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser(given[0] if given else "").parse_args(given)
    try:
        status: int = options.run(options)
    except (ModelError, ServiceError, ProblemError) as error:
        print(f"gatescope: {error}", file=sys.stderr)
        return 2
    except httpx.TransportError as error:
        print(
            f"gatescope: no answer from {options.url} ({error}): is it running? `gatescope serve` starts it",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("gatescope: stopped", file=sys.stderr)
        return 130
    return status


def _parser(verb: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gatescope", description="RNN and LSTM text models over HTTP, with every gate."
    )
    commands = parser.add_subparsers(required=True, metavar="VERB")
    serve = commands.add_parser(
        "serve",
        help="start the server",
        description=(
            "Start the server. Every setting is an environment variable that begins with GATESCOPE_: README lists them."
        ),
    )
    serve.set_defaults(run=_serve)
    listing = commands.add_parser("list", help="the models of a running server")
    _ask(listing).set_defaults(run=_list)
    for name, run, say in (
        ("predict", _predict, "labels or entities of a text"),
        ("inspect", _inspect, "what the gates do at each token"),
    ):
        asking = commands.add_parser(name, help=say, description=f"Ask a running server for {say}.")
        asking.add_argument("text", help="- reads standard input")
        asking.add_argument("--model", help="default: the server's default model")
        _ask(asking).set_defaults(run=run)
        if name == "inspect":
            asking.add_argument("--tensors", nargs="+", metavar="NAME", help="default: all that the model has")
            asking.add_argument(
                "--units", nargs="+", type=int, metavar="N", help="default: all; the picture shows their mean"
            )
    add_analyses(commands, _ask)
    _add_training(commands, verb)
    return parser


def _ask(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="of the server (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the answer as it came")
    return parser


def _add_training(commands: Any, verb: str) -> None:
    """The verbs that need torch; it is imported for them alone, for it takes seconds."""
    if verb not in ("train", "evaluate"):
        commands.add_parser("train", help="train a model on your own data")
        commands.add_parser("evaluate", help="measure a model on labelled data")
        return
    from .training import add_evaluate, add_train

    add_train(commands)
    add_evaluate(commands)


def _serve(options: argparse.Namespace) -> int:
    from .serve import serve

    return serve()


def _list(options: argparse.Namespace) -> int:
    with Client(options.url) as client:
        listed = client.models()
    if options.json:
        print(listed.model_dump_json(indent=1))
        return 0
    for m in listed.models:
        figures = ", ".join(f"{k} {v:.3f}" for k, v in list(m.metrics.items())[:1])
        size = f"{m.layers} x {'+'.join(d[0] for d in m.directions)} x {m.units}"
        print(f"{'*' if m.default else ' '} {m.name:22} {m.cell:4} {m.language} {m.task:20} {size:12} {figures}")
    for b in listed.broken:
        print(f"! {b.name:22} {b.reason}")
    return 0


def _predict(options: argparse.Namespace) -> int:
    with Client(options.url) as client:
        answer = client.predict(options.model or default_model(client), text_of(options))
    if options.json:
        print(answer.model_dump_json(exclude_none=True, indent=1))
        return 0
    result = answer.results[0]
    for label in result.labels or []:
        print(f"{label.score:.4f}  {label.label}")
    for entity in result.entities or []:
        print(f"{entity.score:.4f}  {entity.label:5} {entity.text}  [{entity.start}:{entity.end}]")
    return 0


def _inspect(options: argparse.Namespace) -> int:
    chosen = {"tensors": options.tensors} if options.tensors else {}
    if options.units:
        chosen["select"] = {"units": options.units}
    with Client(options.url) as client:
        answer = client.inspect(options.model or default_model(client), text_of(options), **chosen)
    if options.json:
        print(answer.model_dump_json(exclude_none=True, indent=1))
        return 0
    result = answer.results[0]
    assert result.token_list is not None
    assert result.tensors is not None
    assert result.selection is not None
    for name, tensor in result.tensors.items():
        for layer, directions in zip(result.selection.layers, tensor.data, strict=True):
            for direction, steps in zip(result.selection.directions, directions, strict=True):
                print(f"{name}, layer {layer}, {direction}: mean over {len(steps[0])} units")
                for t, units in zip(result.selection.timesteps, steps, strict=True):
                    mean = sum(units) / len(units)
                    print(f"  {bar(mean)} {mean:+.3f}  {result.token_list[t].text}")
    if result.certificate:
        print(f"largest difference from float64: {result.certificate.recurrence_max_abs_error:.1e}")
    print(json.dumps([x.model_dump() for x in result.labels or result.entities or []], ensure_ascii=False))
    return 0
