"""What can go wrong, a class for each type of problem that the server knows.

ProblemError
├── one class for each `error_type`, TooManyTokens of "too_many_tokens"
└── RetryLater            the server will take the same request later: Overloaded, NotReady, TooManyStreams
"""

import re
from typing import Any

import httpx


class ProblemError(Exception):
    """The server answered with an error (RFC 9457).

    status: of HTTP; detail: one sentence, what was found, what is allowed, what to do; error_type: the kind of problem;
    retry_after_s: when to come back, where the server says so.
    """

    def __init__(self, status: int, title: str, detail: str, error_type: str, retry_after_s: float | None) -> None:
        self.status, self.title, self.detail, self.error_type = status, title, detail, error_type
        self.retry_after_s = retry_after_s
        super().__init__(detail)


class RetryLater(ProblemError):
    """The server will take the same request later."""


class Overloaded(RetryLater):
    """The queue is full."""


class NotReady(RetryLater):
    """Models load, or the server is about to stop."""


class TooManyStreams(RetryLater):
    """As many streams are open as may be."""


class NotFollowed(RetryLater):
    """Not every worker followed a load in time."""


class AnswerTooLarge(ProblemError):
    """More numbers than an answer may hold: select fewer."""


class ActivationsUnavailable(ProblemError):
    """The model has no such tensor: an RNN has no gates."""


class BatchTooLarge(ProblemError):
    """More texts, tokens or characters than one request may have."""


class BodyTooLarge(ProblemError):
    """More bytes than a request may have."""


class BrokenModel(ProblemError):
    """The model's folder is there and could not be loaded."""


class ControlOff(ProblemError):
    """Models are loaded and unloaded at run time only where the server is set so."""


class DeadlineExceeded(ProblemError):
    """Not answered in time."""


class EmptyText(ProblemError):
    """A text without a token."""


class EncodedBody(ProblemError):
    """A content encoding that the server does not read."""


class ForeignOrigin(ProblemError):
    """A page of another origin may not open a stream."""


class FrameRejected(ProblemError):
    """A frame of a stream that is no text."""


class ForeignCaller(ProblemError):
    """Model control asked by a host name or a page that is not the server's."""


class InternalError(ProblemError):
    """A bug of the server."""


class InvalidRequest(ProblemError):
    """A field that is unknown, missing or of another type."""


class LoadRefused(ProblemError):
    """The model's folder could not be loaded; an older version still answers."""


class MalformedBody(ProblemError):
    """Not JSON in UTF-8."""


class MethodNotAllowed(ProblemError):
    """The route is there, for another method."""


class NoAdminKey(ProblemError):
    """The key may ask models but not load and unload them."""


class NotAcceptable(ProblemError):
    """No form of the answer is one that was asked for."""


class NotFound(ProblemError):
    """There is no such route."""


class NotJson(ProblemError):
    """A content type that is not JSON."""


class NotStreamable(ProblemError):
    """The model reads in both directions."""


class OptionError(ProblemError):
    """The model has no use for an option."""


class SelectionError(ProblemError):
    """An index that is not there, or stands twice."""


class SlowBody(ProblemError):
    """The request took too long to arrive."""


class StateRejected(ProblemError):
    """A state that this server did not make, of other weights, or too old."""


class StreamIdle(ProblemError):
    """A stream was silent for too long."""


class TooManyCharacters(ProblemError):
    """The text is too long."""


class TooManyTokens(ProblemError):
    """The text is too long."""


class Unauthorized(ProblemError):
    """No valid key came with the request."""


class UnknownModel(ProblemError):
    """There is no model of this name."""


class UnwritableRequest(Exception):
    """A value of the request has no place in JSON: NaN, infinity or half of a surrogate pair."""

    def __init__(self, error: ValueError) -> None:
        super().__init__(f"the request cannot be written as JSON in UTF-8 ({error}): give other values")


class UnexpectedAnswer(Exception):
    """Something answered at this address, but not as a gatescope server does."""

    def __init__(self, response: httpx.Response) -> None:
        request, kind = response.request, response.headers.get("content-type", "no content type")
        self.status = response.status_code
        super().__init__(
            f"{request.url.copy_with(path='/')} answers, but it is not a gatescope server of this version: "
            f"{request.method} {request.url.path} gave {response.status_code} with {kind[:60]}"
        )


class Unreachable(UnexpectedAnswer):
    """A proxy answers in the server's place, with 5xx and no problem: a server of ours says what is wrong.

    retry_after_s: when to come back, where the proxy says so.
    """

    retry_after_s: float | None = None


def problem(body: dict[str, Any], status: int) -> ProblemError:
    """The error of a problem's body; of a type that this version does not know, ProblemError or RetryLater.

    Raises: KeyError where the body is none.
    """
    error_type, wait_ms = str(body["error_type"]), body.get("retry_after_ms")
    kind = kinds().get(error_type, RetryLater if status in (429, 503) else ProblemError)
    wait_s = wait_ms / 1000 if isinstance(wait_ms, (int, float)) else None
    return kind(status, str(body["title"]), str(body["detail"]), error_type, wait_s)


def kinds() -> dict[str, type[ProblemError]]:
    """``"too_many_tokens"`` -> TooManyTokens, and so on."""
    classes = [*RetryLater.__subclasses__(), *ProblemError.__subclasses__()]
    return {re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower(): kind for kind in classes}
