"""A token opens with its key, for its weights and in its time; nothing else opens."""

import base64
import random
import string

import pytest

from bench.forgeries import forged
from service.errors import StartupError, StateRejected
from service.sealing import MOST_CHARACTERS, Sealer
from service.settings import Settings, read_settings

OLD, NEW = "old-" * 8, "new-" * 8
WEIGHTS, OTHER_WEIGHTS = "a1" * 32, "b2" * 32
STATE = bytes(range(256)) * 4


@pytest.fixture
def sealer() -> Sealer:
    return Sealer((OLD,), 60)


def test_what_is_sealed_opens_and_does_not_show(sealer: Sealer) -> None:
    for size in (0, 1, 2, 3, 1024):
        token = sealer.seal(STATE[:size], WEIGHTS)
        assert sealer.open(token, size, WEIGHTS) == STATE[:size]
    raw = base64.urlsafe_b64decode(token)
    assert all(STATE[n : n + 8] not in raw for n in range(256))
    assert sealer.seal(STATE, WEIGHTS) != sealer.seal(STATE, WEIGHTS)
    assert len(sealer.seal(bytes(1024), WEIGHTS)) == len(sealer.seal(STATE, WEIGHTS))


def test_keys_are_exchanged_without_losing_a_stream() -> None:
    before, during, after = Sealer((OLD,), 60), Sealer((NEW, OLD), 60), Sealer((NEW,), 60)
    assert during.open(before.seal(STATE, WEIGHTS), 1024, WEIGHTS) == STATE
    assert after.open(during.seal(STATE, WEIGHTS), 1024, WEIGHTS) == STATE
    with pytest.raises(StateRejected, match="made by another server's key"):
        after.open(before.seal(STATE, WEIGHTS), 1024, WEIGHTS)


def test_a_token_expires_and_its_time_cannot_be_moved() -> None:
    clock = [1000.0]
    sealer = Sealer((OLD,), 60, lambda: clock[0])
    token = sealer.seal(STATE, WEIGHTS)
    clock[0] = 1060.0
    assert sealer.open(token, 1024, WEIGHTS) == STATE
    clock[0] = 1060.5
    with pytest.raises(StateRejected, match=r"it expired.*60 s"):
        sealer.open(token, 1024, WEIGHTS)
    raw = bytearray(base64.urlsafe_b64decode(token))
    raw[5:13] = (9999).to_bytes(8, "big")
    with pytest.raises(StateRejected, match="it was altered"):
        sealer.open(base64.urlsafe_b64encode(raw).decode(), 1024, WEIGHTS)


def test_a_token_is_for_its_weights(sealer: Sealer) -> None:
    with pytest.raises(StateRejected, match="for other weights"):
        sealer.open(sealer.seal(STATE, WEIGHTS), 1024, OTHER_WEIGHTS)


def test_no_character_can_be_altered(sealer: Sealer) -> None:
    """Not one spelling of the same bytes either: every other character at every place, and any cut."""
    token = sealer.seal(STATE[:64], WEIGHTS)
    alphabet = string.ascii_letters + string.digits + "-_+/= \n☃"
    for n, found in enumerate(token):
        for other in alphabet:
            if other != found:
                with pytest.raises(StateRejected):
                    sealer.open(token[:n] + other + token[n + 1 :], 64, WEIGHTS)
        with pytest.raises(StateRejected):
            sealer.open(token[:n], 64, WEIGHTS)
        with pytest.raises(StateRejected):
            sealer.open(token + token[:n] + "AAAA", 64, WEIGHTS)


def test_no_forged_token_is_accepted(sealer: Sealer) -> None:
    """20,000 here; `python -m bench forgeries` tries a million."""
    tokens = [sealer.seal(STATE, WEIGHTS) for _ in range(4)]
    for token in forged(tokens, random.Random(0), 20_000):
        with pytest.raises(StateRejected):
            sealer.open(token, 1024, WEIGHTS)


def test_a_huge_token_is_refused_before_it_is_decoded(sealer: Sealer) -> None:
    with pytest.raises(StateRejected, match=f"{MOST_CHARACTERS + 4} characters"):
        sealer.open("A" * (MOST_CHARACTERS + 4), 64, WEIGHTS)


def test_a_key_has_thirty_two_characters_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATESCOPE_STATE_KEY", f"{OLD}, {NEW}")
    assert read_settings().state_keys == (OLD, NEW)
    monkeypatch.setenv("GATESCOPE_STATE_KEY", f"{OLD},too-short")
    with pytest.raises(StartupError, match=r"^GATESCOPE_STATE_KEY is set: a key has 32 characters") as caught:
        read_settings()
    assert "too-short" not in str(caught.value)
    assert Settings(state_key="").state_keys == ()  # type: ignore[arg-type]
