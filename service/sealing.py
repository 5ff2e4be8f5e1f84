"""A stream's state -> a token that the client carries, and back: encrypted, bound to weights, key and time.

    token = base64url( version 1 | key id 4 | expires 8 | salt 32 | AES-256-GCM(state) | tag 16 )

What is in clear before the state, and the digest of the weights, are associated data: the cipher's tag vouches for
them, and it is checked before anything else is looked at. The base64 has one spelling for each token, so that no
altered character is read as the same bytes. Each token has a key of its own, derived from ours and its random salt:
replicas share a key without counting, and GCM's bound on the messages of one key is never near.
"""

import base64
import binascii
import hashlib
import logging
import os
import secrets
import string
import struct
import time
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import StateRejected
from .settings import Settings

log = logging.getLogger(__name__)

_VERSION = 1
_HEAD = struct.Struct(">B4sq32s")  # version, key id, expires in seconds since 1970, salt
_NONCE = bytes(12)  # each key seals one token
_TAG = 16
_ALPHABET = (string.ascii_letters + string.digits + "-_").encode()
_STANDARD = bytes.maketrans(b"-_", b"+/")
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
        name, key = self._keys[0]
        padded = state + bytes(-(_HEAD.size + _TAG + len(state)) % 3)  # base64 without padding has one spelling
        salt = os.urandom(32)
        head = _HEAD.pack(_VERSION, name, int(self._now()) + self.lifetime_s, salt)
        sealed = _cipher(key, salt).encrypt(_NONCE, padded, head + bytes.fromhex(weights_sha256))
        return base64.urlsafe_b64encode(head + sealed).decode()

    def open(self, token: str, size: int, weights_sha256: str) -> bytes:
        """The state of `size` bytes in a token for these weights.

        Raises: StateRejected, for whatever `seal` did not make with one of the keys, and after its time.
        """
        raw = _decoded(token)
        version, name, expires, salt = _HEAD.unpack_from(raw)
        key = self._by_id.get(name)
        if key is None:
            raise StateRejected(_ALTERED)
        head = raw[: _HEAD.size]
        try:
            state = _cipher(key, salt).decrypt(_NONCE, raw[_HEAD.size :], head + bytes.fromhex(weights_sha256))
        except InvalidTag:
            raise StateRejected(_ALTERED) from None
        if version != _VERSION or not size <= len(state) < size + 3:
            raise StateRejected("it was made by another version of this service")
        if expires < self._now():
            raise StateRejected(f"it expired, for a state is good for {self.lifetime_s} s (GATESCOPE_STATE_LIFETIME_S)")
        return state[:size]


def _decoded(token: str) -> bytes:
    if len(token) > MOST_CHARACTERS:
        raise StateRejected(f"it has {len(token)} characters, and none of ours has more than {MOST_CHARACTERS}")
    characters = token.encode("utf-8", "surrogatepass")
    if len(characters) % 4 or len(characters) * 3 // 4 < _HEAD.size + _TAG or characters.translate(None, _ALPHABET):
        raise StateRejected(_ALTERED)
    return binascii.a2b_base64(characters.translate(_STANDARD))


def _derived(key: str) -> tuple[bytes, bytes]:
    """(key id, key) of a key as it is set."""
    made = HKDF(SHA256(), 36, salt=None, info=b"gatescope stream state 1").derive(key.encode())
    return made[:4], made[4:]


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    """Of one token."""
    return AESGCM(hashlib.blake2b(salt, key=key, digest_size=32, person=b"gatescope token").digest())


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
