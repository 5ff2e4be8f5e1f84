"""The layers in the order in which a request passes them, outermost first."""

from starlette.middleware import Middleware

from ..settings import Settings
from .hotpath import HotPath
from .problems import Problems
from .record import Record


def chain(settings: Settings) -> list[Middleware]:
    return [
        Middleware(Record, log_requests=settings.access_log),
        Middleware(Problems),
        Middleware(HotPath),
    ]
