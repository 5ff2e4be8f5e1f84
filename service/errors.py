"""The errors of serving as a tree. None of them knows a status code: problems.py has the one table.

ServiceError
├── StartupError          the server cannot start as it was set up
├── RequestError          the request, before any model sees it
│   ├── Unauthorized, MalformedBody, BodyTooLarge, NotJson, EncodedBody, SlowBody, InvalidRequest, NotAcceptable
│   ├── UnknownModel, BatchTooLarge, AnswerTooLarge, StateRejected, FrameRejected, ForeignOrigin
│   ├── ControlOff, ForeignCaller, NoAdminKey, LoadRefused
└── Unavailable           a good request at a bad time
    ├── Overloaded, TooManyStreams, StreamIdle, DeadlineExceeded, ClientLeft, NotReady, NotFollowed
"""

from collections.abc import Sequence


class ServiceError(Exception):
    """The root of the errors that this package raises."""


class StartupError(ServiceError):
    """The server cannot start as it was set up; the message is for the operator."""


class RequestError(ServiceError):
    pass


class Unauthorized(RequestError):
    def __init__(self) -> None:
        super().__init__(
            "no valid API key came with the request: send one as 'Authorization: Bearer KEY' or as 'x-api-key: KEY'"
        )


class MalformedBody(RequestError):
    def __init__(self, problem: str) -> None:
        super().__init__(f"the body is not JSON in UTF-8: {problem}")


class BodyTooLarge(RequestError):
    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"the body is larger than {limit} bytes: send fewer or shorter texts (GATESCOPE_MAX_BODY_BYTES)"
        )


class NotJson(RequestError):
    def __init__(self, found: str) -> None:
        self.found = found
        super().__init__(
            f"the content type is {found!r}, allowed is JSON: send it with -H 'content-type: application/json'"
        )


class EncodedBody(RequestError):
    def __init__(self, found: str, problem: str = "") -> None:
        self.found = found
        what = f" and {problem}" if problem else ""
        super().__init__(f"the body's content encoding is {found!r}{what}: send it plain, or as gzip or deflate")


class SlowBody(RequestError):
    def __init__(self, limit_ms: int) -> None:
        super().__init__(
            f"the body did not arrive within {limit_ms} ms (GATESCOPE_BODY_TIMEOUT_MS): send it at once, or less of it"
        )


class InvalidRequest(RequestError):
    """Well-formed JSON that is not what the route takes; one sentence about the first error."""


class NotAcceptable(RequestError):
    def __init__(self, asked: str, offered: Sequence[str]) -> None:
        self.asked, self.offered = asked, tuple(offered)
        super().__init__(f"the Accept header is {asked!r}, this route gives {', '.join(offered)}")


class UnknownModel(RequestError):
    def __init__(self, name: str, known: Sequence[str], reason: str | None = None) -> None:
        self.name, self.known, self.reason = name, tuple(known), reason
        state = f"could not be loaded ({reason})" if reason else "is not loaded"
        super().__init__(f"the model {name[:64]!r} {state}: there are {', '.join(known) or 'none'}")


class BatchTooLarge(RequestError):
    def __init__(self, found: int, limit: int, what: str, setting: str = "GATESCOPE_MAX_QUEUE_TOKENS") -> None:
        self.found, self.limit = found, limit
        super().__init__(f"the request has {found} {what}, allowed are {limit} ({setting}): send it in parts")


class AnswerTooLarge(RequestError):
    def __init__(self, values: int, asked_bytes: int, limit: int, hint: str) -> None:
        self.values, self.bytes, self.limit = values, asked_bytes, limit
        super().__init__(
            f"the answer would hold {values} values in about {asked_bytes} bytes, allowed are {limit} "
            f"(GATESCOPE_MAX_ANSWER_BYTES): {hint}"
        )


class ControlOff(RequestError):
    def __init__(self) -> None:
        super().__init__(
            "models are loaded and unloaded at run time only where GATESCOPE_MODEL_CONTROL is explicit: set it at start"
        )


class ForeignCaller(RequestError):
    def __init__(self, header: str, found: str) -> None:
        self.header, self.found = header, found
        super().__init__(
            f"the {header} header is {found[:100]!r}, which is not this server: ask it by its address, by localhost or "
            "by a name in GATESCOPE_ALLOWED_HOSTS, and not from another web page"
        )


class NoAdminKey(RequestError):
    def __init__(self) -> None:
        super().__init__("the key may ask models but not load and unload them: send one of GATESCOPE_ADMIN_KEYS")


class LoadRefused(RequestError):
    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"the model {name[:64]!r} was not loaded: {reason}")


class StateRejected(RequestError):
    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the state is not accepted: {reason}: send the text again from its beginning, with state null"
        )


class FrameRejected(RequestError):
    """A frame of a stream that is not a text frame."""

    def __init__(self) -> None:
        super().__init__('the frame is binary, allowed are text frames of JSON: send {"text": "..."} or {"done": true}')


class ForeignOrigin(RequestError):
    def __init__(self, origin: str) -> None:
        super().__init__(
            f"the page at {origin[:100]!r} may not open streams here: set GATESCOPE_CORS_ORIGINS to allow its origin"
        )


class Unavailable(ServiceError):
    """A good request at a bad time; retry_after_s where waiting helps."""

    retry_after_s: float | None = None


class Overloaded(Unavailable):
    def __init__(self, waiting: int, limit: int, what: str, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"{waiting} {what} are waiting and at most {limit} may: try again in {retry_after_s:.1f} s")


class TooManyStreams(Unavailable):
    def __init__(self, limit: int) -> None:
        self.retry_after_s = 1.0
        super().__init__(
            f"{limit} streams are open, which is as many as may be (GATESCOPE_MAX_STREAMS): try again in a second, or "
            "use step"
        )


class StreamIdle(Unavailable):
    def __init__(self, limit_ms: int) -> None:
        super().__init__(f"no frame came for {limit_ms} ms (GATESCOPE_STREAM_IDLE_MS): open the stream again")


class DeadlineExceeded(Unavailable):
    def __init__(self, deadline_ms: int) -> None:
        super().__init__(
            f"there was no answer within {deadline_ms} ms (x-deadline-ms, GATESCOPE_DEADLINE_MS): "
            "send less, or try again later"
        )


class ClientLeft(Unavailable):
    """Its client closed the connection: nobody reads the answer."""

    def __init__(self) -> None:
        super().__init__("the client closed the connection before the answer: stay connected to get it")


class NotReady(Unavailable):
    def __init__(self, why: str) -> None:
        self.retry_after_s = 1.0
        super().__init__(f"the server is {why}: try again in a second")


class NotFollowed(Unavailable):
    def __init__(self, name: str, reason: str) -> None:
        self.retry_after_s = 1.0
        super().__init__(
            f"another worker could not follow this one's change of the model {name[:64]!r} ({reason}): ask again"
        )
