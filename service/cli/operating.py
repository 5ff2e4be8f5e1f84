"""`gatescope serve` and `gatescope settings`."""

import argparse
import json
import os
from typing import Any

from ..settings import PREFIX, Settings, read_settings, source, unknown_variables
from .arguments import Parser

_OPTIONS = {
    "host": "address to listen on",
    "port": "port to listen on; 0 takes a free one",
    "weights": "one model's folder, or a folder of models",
    "device": "auto, cpu or cuda",
}
_FIELDS = {"weights": "weights_dir"}


def add_operating(commands: Any) -> None:
    serve: Parser = commands.add_parser(
        "serve",
        help="start the server",
        description="Start the server. Every setting is an environment variable that begins with GATESCOPE_; an option "
        "wins over its variable. `gatescope settings` lists them all.",
        epilog="example:\n  gatescope serve --port 9000 --weights weights/zh-sentiment-lstm",
    )
    settings: Parser = commands.add_parser(
        "settings",
        help="the settings in force, and where each comes from",
        description="Every setting with its value and whether an option, the environment or the default gave it.",
        epilog="example:\n  GATESCOPE_PORT=9000 gatescope settings",
    )
    for parser in (serve, settings):
        for name, note in _OPTIONS.items():
            variable = f"{PREFIX}{_FIELDS.get(name, name).upper()}"
            parser.add_argument(f"--{name}", metavar="X", help=f"{note} (default: {variable})")
    settings.add_argument("--json", action="store_true", help="print JSON")
    serve.set_defaults(run=_serve)
    settings.set_defaults(run=_settings)


def _given(options: argparse.Namespace) -> dict[str, str]:
    """What the options set, by the settings' fields."""
    named = {_FIELDS.get(name, name): getattr(options, name) for name in _OPTIONS}
    return {name: value for name, value in named.items() if value is not None}


def _serve(options: argparse.Namespace) -> int:
    from .serve import serve

    for name, value in _given(options).items():
        os.environ[f"{PREFIX}{name.upper()}"] = value  # workers are processes of their own and read the environment
    return serve()


def _settings(options: argparse.Namespace) -> int:
    given = _given(options)
    settings = read_settings(given)
    rows = [
        {
            "name": f"{PREFIX}{name.upper()}",
            "value": _shown(name, getattr(settings, name)),
            "from": source(name, os.environ, given),
            "description": field.description,
        }
        for name, field in Settings.model_fields.items()
    ]
    unknown = unknown_variables(os.environ)
    if options.json:
        print(json.dumps({"settings": rows, "unknown": unknown}, indent=1))
        return 0
    for row in rows:
        print(f"{row['name']:30} {row['value'] or '(none)':24} {row['from']:12} {row['description']}")
    for sentence in unknown:
        print(f"unknown: {sentence}")
    return 0


def _shown(name: str, value: Any) -> str:
    """Keys are never printed."""
    if value is None:
        return ""
    if name.endswith(("key", "keys")):
        return "(set)" if value else ""
    return str(value).lower() if isinstance(value, bool) else str(value)
