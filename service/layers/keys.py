"""API keys: compared in constant time, several at once, exchanged without a restart."""

import hashlib
import hmac
import logging
import time
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import StartupError, Unauthorized
from ..exchange import exchange_of
from ..settings import Settings
from ..wire.problems import response_of

log = logging.getLogger(__name__)
OPEN = frozenset({"/", "/health", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"})
OPEN_BELOW = "/page/"  # the page's own files: it asks for a key itself
ADMIN = "gatescope.admin"  # in the scope: whether this request may load and unload models
_SUBPROTOCOL = "gatescope.key."
_LOOK_AGAIN_S = 1.0


class KeyFile:
    """The digests of a file's keys, a key a line; looked at again at most once a second."""

    def __init__(self, path: Path) -> None:
        """Raises: StartupError where the file cannot be read or holds no key."""
        self.path, self._looked = path, 0.0
        self._version = self._stat()
        self._digests = _digests(self._read())
        if not self._digests:
            raise StartupError(f"the file of keys {path} holds no key: write one a line")

    @property
    def digests(self) -> list[bytes]:
        now = time.monotonic()
        if now - self._looked > _LOOK_AGAIN_S:
            self._looked = now
            self._refresh()
        return self._digests

    def _refresh(self) -> None:
        """A file that has gone or is empty for a moment, while it is exchanged, locks nobody out."""
        try:
            version = self._stat()
            if version == self._version:
                return
            found = _digests(self._read())
        except StartupError as error:
            log.error("the old keys stay valid: %s", error)
            return
        if not found:
            log.error("the old keys stay valid: the file of keys is empty")
            return
        self._digests, self._version = found, version
        log.info("%d keys were read anew", len(found))

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = self.path.stat()
        except OSError as error:
            raise StartupError(f"the file of keys {self.path} cannot be read: {error.strerror}") from error
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> list[str]:
        try:
            return self.path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise StartupError(f"the file of keys {self.path} cannot be read as UTF-8 text") from error


class KeyRing:
    """All keys that are valid now, as digests."""

    def __init__(self, settings: Settings) -> None:
        """Raises: StartupError."""
        self._fixed = {
            False: _digests(settings.api_keys.get_secret_value().split(",")),
            True: _digests(settings.admin_keys.get_secret_value().split(",")),
        }
        files = {False: settings.api_keys_file, True: settings.admin_keys_file}
        self._files = {admin: KeyFile(path) for admin, path in files.items() if path}

    @property
    def are_set(self) -> bool:
        return any(self._fixed.values()) or bool(self._files)

    def role(self, key: bytes) -> str | None:
        """``admin``, ``user``, or None for a key that is not valid. Takes as long for every key."""
        digest, found = hashlib.sha256(key).digest(), None
        for admin in (False, True):
            file = self._files.get(admin)
            for valid in (*self._fixed[admin], *(file.digests if file else ())):
                if hmac.compare_digest(digest, valid):
                    found = "admin" if admin else found or "user"
        return found


class Keys:
    """401 without a valid key, on every path and method but the probes and the page."""

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self.app, self.keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or _is_open(scope):
            await self.app(scope, receive, send)
            return
        role = self.keys.role(_key(scope))
        if role is None and scope["type"] == "websocket":
            if "websocket.http.response" in scope.get("extensions", {}):
                await response_of(Unauthorized())(scope, receive, send)
                return
            await send({"type": "websocket.close", "code": 1008, "reason": "no valid API key"})
            return
        if role is None:
            raise Unauthorized
        scope[ADMIN] = role == "admin"
        await self.app(scope, receive, send)


def _is_open(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    return scope["path"] in OPEN or scope["path"].startswith(OPEN_BELOW)


def _key(scope: Scope) -> bytes:
    """The key that was sent, or b""; of a WebSocket also as a subprotocol, since browsers set no headers there."""
    headers = exchange_of(scope).headers
    if b"x-api-key" in headers:
        return headers[b"x-api-key"]
    authorization = headers.get(b"authorization", b"")
    if authorization[:7].lower() == b"bearer ":
        return authorization[7:].strip()
    for offered in scope.get("subprotocols", ()):
        if offered.startswith(_SUBPROTOCOL):
            return str(offered).removeprefix(_SUBPROTOCOL).encode()
    return b""


def _digests(keys: list[str]) -> list[bytes]:
    return [hashlib.sha256(key.strip().encode()).digest() for key in keys if key.strip()]
