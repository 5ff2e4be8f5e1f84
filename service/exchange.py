"""One request and its answer, as layers and routes share them: its headers, read once, and what is noted on the way."""

import random
import re
import time
from collections.abc import Mapping
from typing import Any

BODY_IS_COMPLETE = "gatescope.body_is_complete"  # in the scope, where the whole body came with the headers
_VALID_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_KEY = "gatescope.exchange"  # in the scope


class Exchange:
    """headers: of names that came twice, the last. status: 0 until the answer begins. problem: its error_type.

    Of requests that ran a model: submitted, when they asked for it; queue_ms and compute_ms. Times are perf_counter's.
    """

    __slots__ = ("began", "compute_ms", "headers", "problem", "queue_ms", "request_id", "route", "status", "submitted")

    def __init__(self, scope: Any) -> None:
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.began = time.perf_counter()
        self.status = 0
        self.problem: str | None = None
        self.route: str | None = None  # set by a layer that answers without the framework's routing
        self.submitted = self.queue_ms = self.compute_ms = 0.0
        given = self.headers.get(b"x-request-id")
        self.request_id = given if given and _VALID_ID.fullmatch(given) else b"%032x" % random.getrandbits(128)
        scope[_KEY] = self

    def ran(self, submitted: float, queue_ms: float, compute_ms: float) -> None:
        """Added up, where a request runs models more than once."""
        self.submitted = self.submitted or submitted
        self.queue_ms += queue_ms
        self.compute_ms += compute_ms


def exchange_of(scope: Mapping[str, Any]) -> Exchange:
    """The exchange that the layer `Record` began; a new one where the request came another way."""
    exchange: Exchange | None = scope.get(_KEY)
    return exchange or Exchange(scope)


def route_of(scope: Mapping[str, Any]) -> str:
    """The path as it is declared, names in braces; ``none`` for a path that no route serves."""
    return exchange_of(scope).route or str(getattr(scope.get("route"), "path", "none"))
