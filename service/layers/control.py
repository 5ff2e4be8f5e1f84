"""Who may load and unload models: callers that name this server, no foreign web page, and an admin where keys are set.

A web page that a browser shows can send requests to servers near it, and by a host name of its own that it lets point
to 127.0.0.1 (DNS rebinding) it can even read the answers. `Origin` tells the first, `Host` the second.
"""

import ipaddress
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import ForeignCaller, NoAdminKey
from ..routes.repository import GUARDED
from ..settings import Settings
from .keys import ADMIN

_REPOSITORY = "/v2/repository"
_CHANGES = f"{_REPOSITORY}/models"


class ControlGuard:
    """Refuses foreign callers on every path and method below /v2/repository; changes need an admin's key."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        names = (name.strip().lower() for name in settings.allowed_hosts.split(","))
        self.allowed = {"localhost", settings.host.lower(), *filter(None, names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(_REPOSITORY):
            host = self._checked_host(scope)
            for origin in _values(scope, b"origin"):
                if origin.lower() not in (f"http://{host}", f"https://{host}"):
                    raise ForeignCaller("Origin", origin)
            if scope["path"].startswith(_CHANGES) and not scope.get(ADMIN, True):
                raise NoAdminKey
            scope[GUARDED] = True
        await self.app(scope, receive, send)

    def _checked_host(self, scope: Scope) -> str:
        """Raises: ForeignCaller."""
        hosts = _values(scope, b"host")
        if len(hosts) != 1:
            raise ForeignCaller("Host", ", ".join(hosts))
        host = hosts[0].lower()
        name = _name_of(host)
        address, _ = scope.get("server") or ("", None)
        if name not in self.allowed and name != str(address).lower() and not _is_loopback(name):
            raise ForeignCaller("Host", hosts[0])
        return host


def _values(scope: Scope, name: bytes) -> list[str]:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return [value.decode("latin-1") for key, value in headers if key == name]


def _name_of(host: str) -> str:
    """A Host header without its port, and an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
