"""What the verbs share that ask a running server."""

import argparse
import sys

from ..client import Client
from ..errors import ServiceError

_SHADES = " ░▒▓█"  # a part of a cell, for people who look before they read


def bar(value: float, width: int = 20) -> str:
    """`width` cells, filled from the left to |value|, which is 1 at most."""
    cells = min(abs(value), 1.0) * width
    full = int(cells)
    part = _SHADES[int((cells - full) * (len(_SHADES) - 1))] if full < width else ""
    return ("█" * full + part).ljust(width)


def text_of(options: argparse.Namespace) -> str:
    return sys.stdin.read() if options.text == "-" else str(options.text)


def default_model(client: Client) -> str:
    """Raises: ServiceError where no model is loaded."""
    models = client.models().models
    if not models:
        raise ServiceError("the server has no model loaded: /health/ready says why")
    return next(m.name for m in models if m.default)
