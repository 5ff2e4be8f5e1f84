"""The command line, `gatescope VERB`; `python -m service` is the same.

serve starts the server and settings prints its settings; list, predict, inspect and the analyses ask one; train and
evaluate make and measure models, batch answers a file without a server. Exit status: 0; 1 where the server refuses or
a row of a file has no answer; 2 where the command cannot be carried out.
"""

import contextlib
import difflib
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

import httpx

from gatescope import ProblemError, UnexpectedAnswer, UnwritableRequest
from models.errors import ModelError

from ..errors import ServiceError
from ..version import VERSION
from .analyses import add_analyses
from .arguments import Parser, UsageError
from .asking import add_asking
from .changing import add_changing
from .operating import add_operating
from .terminal import check_words, prepare_streams

log = logging.getLogger(__name__)
_LOCAL = {
    "batch": "answer a file of texts, in parallel, without a server",
    "train": "train a model on your own data",
    "pretrain": "train a language model to start from",
    "average": "make one model of several trainings",
    "evaluate": "measure a model on labelled data",
    "robustness": "measure a model on labelled data as people type them",
    "faithfulness": "which attribution method finds the tokens that matter",
}
_BROKEN_PIPE, _INTERRUPTED = 141, 130  # as a shell reports SIGPIPE and SIGINT
_GROUPS = {
    "run a server": ("serve", "settings"),
    "ask a server": ("list", "predict", "inspect"),
    "answer files": ("batch",),
    "look inside": ("memory", "attribute", "compare", "intervene", "top", "render"),
    "make models": ("train", "pretrain", "average", "evaluate", "robustness", "faithfulness"),
}


class _Overview(Parser):
    """The parser of the verb itself; its --help lists the verbs by group."""

    verbs: Any

    def format_help(self) -> str:
        helps = {action.dest: action.help for action in self.verbs._choices_actions}
        lines = ["usage: gatescope VERB [options]", "", str(self.description)]
        for title, names in _GROUPS.items():
            lines += ["", f"{title}:", *(f"  {name:14}{helps[name]}" for name in names if name in helps)]
        lines += [
            "",
            "options:",
            "  --version     print the version",
            "  -h, --help    this list; VERB --help: one verb",
        ]
        return "\n".join([*lines, "", "example:", '  gatescope inspect --units 0 1 2 "not bad at all"', ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. A mistake ends with one sentence on standard error, never with a traceback."""
    prepare_streams()
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        status = _run(words)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        _discard_output()
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        return _failed("stopped", _INTERRUPTED)
    except ProblemError as error:
        return _failed(str(error), 1)
    except (UsageError, ModelError, ServiceError, UnexpectedAnswer, UnwritableRequest) as error:
        return _failed(str(error), 2)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return _failed(_unreachable(error), 2)
    except OSError as error:
        _discard_output()
        name = f"{error.filename}: " if error.filename else ""
        return _failed(f"{name}{error.strerror or error}", 2)
    except Exception as error:  # the last resort: a person gets a sentence, and the details on request
        log.debug("unexpected", exc_info=error)
        return _failed(f"this is a bug of gatescope: {type(error).__name__}: {error}", 2)


def _run(words: list[str]) -> int:
    check_words(words)
    parser = _parser(words[0] if words else "")
    if words and not words[0].startswith("-") and words[0] not in parser.verbs.choices:
        near = difflib.get_close_matches(words[0], parser.verbs.choices, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"there is no verb {words[0]!r}: {meant}`gatescope --help` lists them")
    try:
        options = parser.parse_args(words)
    except SystemExit as printed:  # --help and --version
        return int(printed.code or 0)
    options.typed = words
    status: int = options.run(options)
    return status


def _failed(sentence: str, status: int) -> int:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(f"gatescope: {' '.join(sentence.split())}", file=sys.stderr, flush=True)
    return status


def _discard_output() -> None:
    """Nobody reads standard output any more: the interpreter's own flush at exit must not fail."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (AttributeError, OSError, ValueError):
        sys.stdout = None


def _unreachable(error: httpx.HTTPError | httpx.InvalidURL) -> str:
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return f"the server's address is not http://HOST:PORT ({error}): see --url, GATESCOPE_URL and GATESCOPE_PORT"
    url = error.request.url.copy_with(path="/")
    if isinstance(error, httpx.TimeoutException):
        return f"{url} gave no answer in time ({type(error).__name__}): send less, or try again later"
    if isinstance(error, httpx.ConnectError):
        return f"no server answers at {url} ({error}): `gatescope serve` starts one, --url names another"
    return f"{url} does not speak HTTP as gatescope does ({error or type(error).__name__}): is --url right?"


def _parser(verb: str) -> _Overview:
    parser = _Overview(prog="gatescope", description="RNN and LSTM text models over HTTP, with every gate.")
    parser.add_argument("--version", action="version", version=f"gatescope {VERSION}")
    parser.verbs = parser.add_subparsers(required=True, metavar="VERB", parser_class=Parser)
    add_operating(parser.verbs)
    add_asking(parser.verbs)
    add_analyses(parser.verbs)
    add_changing(parser.verbs)
    _add_local(parser.verbs, verb)
    return parser


def _add_local(commands: Any, verb: str) -> None:
    """The verbs that need torch: it takes seconds to import, and only they pay for it."""
    if verb not in _LOCAL:
        for name, note in _LOCAL.items():
            commands.add_parser(name, help=note)
        return
    from .averaging import add_average
    from .batch import add_batch
    from .evaluation import add_evaluate
    from .faithfulness import add_faithfulness
    from .pretraining import add_pretrain
    from .robustness import add_robustness
    from .training import add_train

    add_batch(commands)
    add_pretrain(commands)
    add_robustness(commands)
    add_train(commands)
    add_average(commands)
    add_evaluate(commands)
    add_faithfulness(commands)
