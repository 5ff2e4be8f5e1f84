"""HEAD, which monitors and proxies ask with: what GET would answer, without the body (RFC 9110, 9.3.2)."""

from starlette.types import ASGIApp, Receive, Scope, Send


class Heads:
    """The framework's routes know GET alone. The server, which still sees HEAD, leaves out the body that they make."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "HEAD":
            await self.app(scope, receive, send)
            return
        asked = {**scope, "method": "GET"}
        try:
            await self.app(asked, receive, send)
        finally:
            scope["route"] = asked.get("route")
