"""The command line, `gatescope VERB`; `python -m service` is the same."""

import argparse
import sys

from models.errors import ModelError


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; a mistake of the user's ends with one sentence and status 2, never with a traceback."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
    except ModelError as error:
        print(f"gatescope: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gatescope: stopped", file=sys.stderr)
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gatescope", description="RNN and LSTM models over HTTP, with every gate.")
    commands = parser.add_subparsers(required=True, metavar="VERB")
    from .cli_training import add_evaluate, add_train

    add_train(commands)
    add_evaluate(commands)
    return parser
