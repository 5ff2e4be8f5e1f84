"""The one table: error class -> HTTP status and title. Every error leaves as application/problem+json (RFC 9457)."""

import logging
import math
import re

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.types import Scope

from models import errors as m

from .. import errors as s
from ..exchange import exchange_of

log = logging.getLogger(__name__)

TABLE: dict[type[Exception], tuple[int, str]] = {
    m.EmptyText: (422, "Empty text"),
    m.TooManyTokens: (422, "Text too long"),
    m.TooManyCharacters: (422, "Text too long"),
    m.ActivationsUnavailable: (422, "No such tensor"),
    m.SelectionError: (422, "No such index"),
    m.OptionError: (422, "Option not available"),
    m.NotStreamable: (422, "Not streamable"),
    m.CheckpointError: (404, "Model could not be loaded"),
    m.TrainingError: (422, "Training impossible"),
    m.BatchError: (422, "Batch impossible"),
    s.Unauthorized: (401, "No valid key"),
    s.MalformedBody: (400, "Malformed JSON"),
    s.NotJson: (415, "Not JSON"),
    s.EncodedBody: (415, "Encoding not supported"),
    s.BodyTooLarge: (413, "Body too large"),
    s.SlowBody: (408, "Body too slow"),
    s.InvalidRequest: (422, "Invalid request"),
    s.NotAcceptable: (406, "Not acceptable"),
    s.UnknownModel: (404, "No such model"),
    s.BatchTooLarge: (413, "Batch too large"),
    s.AnswerTooLarge: (413, "Answer too large"),
    s.ControlOff: (404, "Model control is off"),
    s.ForeignCaller: (403, "Foreign caller"),
    s.NoAdminKey: (403, "No admin key"),
    s.LoadRefused: (422, "Model not loaded"),
    s.StateRejected: (422, "State rejected"),
    s.ForeignOrigin: (403, "Foreign origin"),
    s.FrameRejected: (415, "Frame rejected"),
    s.TooManyStreams: (503, "Too many streams"),
    s.StreamIdle: (408, "Stream idle"),
    s.Overloaded: (429, "Too many requests"),
    s.DeadlineExceeded: (504, "Deadline passed"),
    s.ClientLeft: (499, "Client left"),
    s.NotReady: (503, "Not ready"),
    s.NotFollowed: (503, "Not followed by every worker"),
    s.StartupError: (500, "Start-up failed"),
}
_BUG = "this is a bug of the server: its log has the details"
MEDIA_TYPE = "application/problem+json"
BUG = "internal_error"  # the error_type of what no row of the table foresees


def row(error: type[Exception]) -> tuple[int, str]:
    """(status, title) of the class, or of its nearest ancestor in the table."""
    return next(TABLE[base] for base in error.__mro__ if base in TABLE)


def error_type(error: type[Exception]) -> str:
    """``TooManyTokens`` -> ``too_many_tokens``"""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", error.__name__).lower()


def problem(
    status: int,
    title: str,
    detail: str,
    kind: str,
    headers: dict[str, str] | None = None,
    more: dict[str, int] | None = None,
) -> Response:
    return Response(orjson.dumps(problem_body(status, title, detail, kind, more)), status, headers, MEDIA_TYPE)


def problem_body(
    status: int, title: str, detail: str, kind: str, more: dict[str, int] | None = None
) -> dict[str, str | int]:
    return {
        "type": f"urn:gatescope:problem:{kind}",
        "title": title,
        "status": status,
        "detail": detail,
        "error": detail,
        "error_type": kind,
        **(more or {}),
    }


def response_of(error: Exception, path: str = "") -> Response:
    """The response to a ModelError or a ServiceError on this path."""
    status, title = row(type(error))
    headers, more = {}, {}
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(retry_after_s)))
        more["retry_after_ms"] = math.ceil(retry_after_s * 1000)
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if speaks_open_inference(path):
        return _open_inference(400 if status in (406, 415, 422) else status, str(error), headers)
    return problem(status, title, str(error), error_type(type(error)), headers, more)


def body_of(error: Exception | None) -> dict[str, str | int]:
    """The body of a ModelError's or a ServiceError's problem, of a bug's where None."""
    if error is None:
        return problem_body(500, "Internal error", _BUG, BUG)
    status, title = row(type(error))
    retry_after_s = getattr(error, "retry_after_s", None)
    more = {} if retry_after_s is None else {"retry_after_ms": math.ceil(retry_after_s * 1000)}
    return problem_body(status, title, str(error), error_type(type(error)), more)


def bug(scope: Scope, error: Exception) -> Response:
    """The response to an unexpected exception, which is logged."""
    fields = {"request_id": exchange_of(scope).request_id.decode()}
    log.error("a bug: %s", type(error).__name__, exc_info=error, extra={"fields": fields})
    if speaks_open_inference(scope["path"]):
        return _open_inference(500, _BUG, {})
    return problem(500, "Internal error", _BUG, BUG)


def speaks_open_inference(path: str) -> bool:
    """Whether this path's errors are the protocol's own: ``{"error": "..."}`` as application/json."""
    return path == "/v2" or path.startswith("/v2/")


def _open_inference(status: int, detail: str, headers: dict[str, str]) -> Response:
    return Response(orjson.dumps({"error": detail}), status, headers, "application/json")


def install(app: FastAPI) -> None:
    """Answer the framework's own errors (no such path, no such method) by the same body as all others."""

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kinds = {404: ("Not found", "not_found"), 405: ("Method not allowed", "method_not_allowed")}
        title, kind = kinds.get(error.status_code, ("Error", "http_error"))
        details = {
            404: "there is no such route: /docs lists them",
            405: f"{request.method} is not allowed on this route: /docs lists the allowed methods",
        }
        detail = details.get(error.status_code, str(error.detail))
        exchange_of(request.scope).problem = kind
        if speaks_open_inference(request.url.path):
            return _open_inference(error.status_code, detail, dict(error.headers or {}))
        return problem(error.status_code, title, detail, kind, dict(error.headers or {}))

    app.add_exception_handler(HTTPException, http_error)
