"""A stream's state -> a token that the client carries, and back: encrypted, bound to weights, key and time.

    token = base64url( version 1 | key id 4 | expires 8 | nonce 12 | AES-256-GCM-SIV(state) | tag 16 )

What is in clear before the state, and the digest of the weights, are associated data: the cipher's tag vouches for
them, and it is checked before anything else is looked at. The base64 has one spelling for each token, so that no
altered character is read as the same bytes. AES-GCM-SIV (RFC 8452) since nonces are random and replicas share a key: a
nonce that comes twice then tells no more than whether two states are equal.
"""

import base64
import binascii
import logging
import os
import secrets
import struct
import time
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import StateRejected
from .settings import Settings

log = logging.getLogger(__name__)

_VERSION = 1
_HEAD = struct.Struct(">B4sq12s")  # version, key id, expires in seconds since 1970, nonce
_TAG = 16
MOST_CHARACTERS = 65_536  # of a token
_ALTERED = "it was altered, cut, made by another server's key or for other weights"


class Sealer:
    """Seals with the first key, opens with any of them."""

    def __init__(self, keys: tuple[str, ...], lifetime_s: int, now: Callable[[], float] = time.time) -> None:
        """keys: at least one, the first seals."""
        self._keys = [_derived(key) for key in keys]
        self._by_id = dict(reversed(self._keys))
        self.lifetime_s, self._now = lifetime_s, now

    def seal(self, state: bytes, weights_sha256: str) -> str:
        """A token of a length that the state's length alone decides."""
        name, cipher = self._keys[0]
        padded = state + bytes(-(_HEAD.size + _TAG + len(state)) % 3)  # base64 without padding has one spelling
        nonce = os.urandom(12)
        head = _HEAD.pack(_VERSION, name, int(self._now()) + self.lifetime_s, nonce)
        sealed = cipher.encrypt(nonce, padded, head + bytes.fromhex(weights_sha256))
        return base64.urlsafe_b64encode(head + sealed).decode()

    def open(self, token: str, size: int, weights_sha256: str) -> bytes:
        """The state of `size` bytes in a token for these weights.

        Raises: StateRejected, for whatever `seal` did not make with one of the keys, and after its time.
        """
        raw = _decoded(token)
        _, name, expires, nonce = _HEAD.unpack_from(raw)
        cipher = self._by_id.get(name)
        if cipher is None:
            raise StateRejected(_ALTERED)
        head = raw[: _HEAD.size]
        try:
            state = cipher.decrypt(nonce, raw[_HEAD.size :], head + bytes.fromhex(weights_sha256))
        except InvalidTag:
            raise StateRejected(_ALTERED) from None
        if head[0] != _VERSION or not size <= len(state) < size + 3:
            raise StateRejected("it was made by another version of this service")
        if expires < self._now():
            raise StateRejected(f"it expired, for a state is good for {self.lifetime_s} s (GATESCOPE_STATE_LIFETIME_S)")
        return state[:size]


def _decoded(token: str) -> bytes:
    if len(token) > MOST_CHARACTERS:
        raise StateRejected(f"it has {len(token)} characters, and none of ours has more than {MOST_CHARACTERS}")
    if len(token) % 4 or len(token) * 3 // 4 < _HEAD.size + _TAG or not token.isascii() or "=" in token:
        raise StateRejected(_ALTERED)
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True)
    except binascii.Error:
        raise StateRejected(_ALTERED) from None


def _derived(key: str) -> tuple[bytes, AESGCMSIV]:
    """(key id, cipher) of a key as it is set."""
    made = HKDF(SHA256(), 36, salt=None, info=b"gatescope stream state 1").derive(key.encode())
    return made[:4], AESGCMSIV(made[4:])


def sealer(settings: Settings) -> Sealer:
    """With the keys that are set, else with a random one, which is warned of."""
    keys = settings.state_keys
    if not keys:
        keys = (random_key(),)
        log.warning(
            "GATESCOPE_STATE_KEY is not set: state tokens of step are sealed with a random key, so they are good on "
            "this server alone and until it stops"
        )
    return Sealer(keys, settings.state_lifetime_s)


def random_key() -> str:
    return secrets.token_hex(32)
