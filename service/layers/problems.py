"""Every error of every route leaves here, by the one table of `service.wire.problems`."""

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from models.errors import ModelError

from ..errors import ServiceError
from ..exchange import exchange_of
from ..wire.problems import BUG, bug, error_type, response_of


class Problems:
    """Answers an exception with its problem; one that comes after the answer has begun is logged alone."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        except ClientDisconnect:
            return  # nobody is left to answer
        except (ModelError, ServiceError) as error:
            problem, response = error_type(type(error)), response_of(error, scope["path"])
        except Exception as error:
            problem, response = BUG, bug(scope, error)
        else:
            return
        exchange = exchange_of(scope)
        exchange.problem = problem
        if not exchange.status:
            await response(scope, receive, send)
