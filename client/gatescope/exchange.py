"""One exchange with a server, without input or output of its own: what is to be sent or waited for is yielded.

`Steps[T]` is a generator that yields a Request and is sent its httpx.Response, or yields a Pause and is sent None, and
returns a T. Client runs it with blocking calls and AsyncClient with awaited ones: neither knows what is asked.
"""

import json
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import httpx

from .errors import ProblemError, RetryLater, UnexpectedAnswer, Unreachable, UnwritableRequest, problem
from .parsing import SAFETENSORS, parse

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    content: bytes | None = None
    accept: str = "application/json"

    @property
    def headers(self) -> dict[str, str]:
        return {"accept": self.accept} | ({} if self.content is None else {"content-type": "application/json"})


@dataclass(frozen=True)
class Pause:
    seconds: float


Steps = Generator[Request | Pause, Any, T]


@dataclass(frozen=True)
class Patience:
    """How long a request is repeated that a server asked to send later: so many times, and so many seconds in all."""

    attempts: int = 8
    seconds: float = 60.0


IMPATIENT = Patience(attempts=1)


def ask(request: Request, patience: Patience) -> Steps[httpx.Response]:
    """The successful response; what the server asks to send later is sent when it said.

    So is what a proxy could not pass on, for a server that ended: every operation only reads.

    Raises: ProblemError, UnexpectedAnswer.
    """
    waited = 0.0
    for attempt in range(1, patience.attempts + 1):
        response = yield request
        if response.is_success:
            assert isinstance(response, httpx.Response)
            return response
        error = refusal(response)
        wait_s = error.retry_after_s if error.retry_after_s is not None else 1.0
        passes = isinstance(error, RetryLater | Unreachable)
        if not passes or attempt == patience.attempts or waited + wait_s > patience.seconds:
            raise error
        yield Pause(wait_s)
        waited += wait_s
    raise AssertionError("a patience has one attempt or more")


def ask_for(kind: type[T], request: Request, patience: Patience) -> Steps[T]:
    """The answer as `kind`.

    Raises: ProblemError, UnexpectedAnswer.
    """
    response = yield from ask(request, patience)
    return parsed(kind, response)


def parsed(kind: type[T], response: httpx.Response) -> T:
    """Raises: UnexpectedAnswer."""
    try:
        return parse(kind, response.content, response.headers.get("content-type", "").partition(";")[0])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnexpectedAnswer(response) from error


def refusal(response: httpx.Response) -> ProblemError | Unreachable:
    """Raises: UnexpectedAnswer where the body is no problem and the status not 5xx."""
    error: ProblemError | Unreachable
    try:
        error = problem(json.loads(response.content), response.status_code)
    except (ValueError, TypeError, KeyError) as reason:
        if response.status_code < 500:
            raise UnexpectedAnswer(response) from reason
        error = Unreachable(response)
    if error.retry_after_s is None and (header := response.headers.get("retry-after", "")).isdecimal():
        error.retry_after_s = float(header)
    return error


def get(path: str) -> Request:
    return Request("GET", path)


def post(path: str, body: dict[str, Any], accept: str = "application/json") -> Request:
    """Fields that are None are left out.

    Raises: UnwritableRequest.
    """
    given = {name: value for name, value in body.items() if value is not None}
    try:
        content = json.dumps(given, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise UnwritableRequest(error) from None
    return Request("POST", path, content, accept)


def as_file(request: Request) -> Request:
    """The same, answered as safetensors: exact, and a fifth of the bytes."""
    return replace(request, accept=SAFETENSORS)
