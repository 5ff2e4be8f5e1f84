"""Every error of every route leaves here, by the one table of `service.wire.problems`."""

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.errors import ModelError

from ..errors import ServiceError
from ..wire.problems import bug, response_of


class Problems:
    """Answers an exception with its problem; one that comes after the answer has begun is logged alone."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = False

        async def send_and_note(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except ClientDisconnect:
            return  # nobody is left to answer
        except (ModelError, ServiceError) as error:
            response = response_of(error, scope["path"])
        except Exception as error:
            response = bug(scope, error)
        else:
            return
        if not began:
            await response(scope, receive, send)
