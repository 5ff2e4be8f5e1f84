"""What the verbs share that ask a running server."""

import argparse
import math
from collections.abc import Sequence
from typing import Any

from gatescope import Client
from gatescope.clients import default_url
from gatescope.exchange import IMPATIENT

from .arguments import Parser
from .terminal import read_text


def ask(parser: Parser, model: bool = True) -> Parser:
    """Options of every verb that asks a server."""
    server = parser.add_argument_group("server")
    default = default_url()
    shown = default.replace("%", "%%")
    server.add_argument(
        "--url",
        default=default,
        help=f"of the server (default: GATESCOPE_URL, else GATESCOPE_HOST and GATESCOPE_PORT; now {shown})",
    )
    if model:
        server.add_argument("--model", metavar="NAME", help="default: the server's default model; `list` names them")
    parser.add_argument("--json", action="store_true", help="print the answer as it came")
    return parser


def client_of(options: argparse.Namespace, **settings: Any) -> Client:
    """A client of the server that the options name, which gives up at the first refusal unless `patience` is given."""
    return Client(options.url, **({"patience": IMPATIENT} | settings))


def text_of(options: argparse.Namespace) -> str:
    return read_text(options.text)


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """The mean and the standard deviation."""
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:+.3f}" for value in values)
