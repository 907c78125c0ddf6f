"""API keys: created, rotated and revoked by events in the log; the valid keys are a fold of them.

A key has the form `oee_<id>_<secret>`. The log stores SHA-256 of the secret. A secret has 256
random bits and cannot be guessed, so a slow hash would only slow down valid requests.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from events.commands.execute import KeepsChanging, NotTaken, always, execute
from events.ids import KEYS_ID
from events.log import EventLog, OrderHead
from events.secret import SecretText
from events.streams import ApiKey, KeyRing
from events.telemetry.server_clock import now_us as server_now_us
from events.types import Fact, KeyCreated, KeyRevoked, KeyRotated

SCOPES = ("read", "trade", "cancel", "admin")
"""The scopes of keys. `admin` permits everything, for every account."""

PREFIX = "oee"
ACCOUNT_LENGTH = 64
"""The limit of the setting ACCOUNT, too."""
KEYS_MAX = 1000
"""All keys are in one head, which each of these commands writes."""


class KeyRefused(Exception):
    """A command on a key is refused; its text is one line."""


class IssuedKey(NamedTuple):
    """A key and its text, which is shown only once."""

    key: ApiKey
    text: SecretText


class PresentedKey(NamedTuple):
    """The key id and the digest of the secret that a client presented."""

    key_id: str
    digest: bytes


def shown(text: SecretText) -> PresentedKey:
    """Parses the text of a key; an empty key id for other text."""
    prefix, _, rest = text.reveal().partition("_")
    key_id, _, secret = rest.partition("_")
    return PresentedKey(key_id if prefix == PREFIX else "", _digest(secret))


def authenticate(presented: PresentedKey, keys: Sequence[ApiKey], now_us: int) -> ApiKey | None:
    """The presented key; None where it is unknown, expired, revoked or rotated.

    Secrets are compared in constant time; key ids are not secret.
    """
    key = next((key for key in keys if key.id == presented.key_id), None)
    if key is None or (key.expires_at_us and key.expires_at_us <= now_us):
        return None
    digest = presented.digest
    if hmac.compare_digest(digest, key.digest):
        return key
    old = hmac.compare_digest(digest, key.old_digest)
    return key if old and now_us < key.old_until_us else None


async def listed(log: EventLog) -> tuple[ApiKey, ...]:
    """The keys that were not revoked. Raises LogError."""
    head = (await log.load([KEYS_ID]))[0]
    return () if head is None else _keys_in(head).keys


def _keys_in(head: OrderHead) -> KeyRing:
    state = head.state
    if not isinstance(state, KeyRing):
        raise msgspec.DecodeError("the head of the API keys holds another stream")
    return state


async def create(
    log: EventLog, account: str, scopes: Sequence[str], label: str, expires_at_us: int, actor: str
) -> IssuedKey:
    """Creates a key. Raises KeyRefused or LogError."""
    if not 1 <= len(account) <= ACCOUNT_LENGTH:
        raise KeyRefused(f"an account has 1 to {ACCOUNT_LENGTH} characters")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise KeyRefused(f"the scopes are some of {', '.join(SCOPES)}")
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    fact = KeyCreated(key_id, account, tuple(scopes), _digest(secret), label, expires_at_us, actor)

    after = await _changed(log, lambda keys: decide_create(keys, fact))
    return IssuedKey(_of(after.keys, key_id), SecretText(f"{PREFIX}_{key_id}_{secret}"))


async def rotate(log: EventLog, key_id: str, grace_s: float, actor: str) -> IssuedKey:
    """Gives a key a new secret; the old one stays valid for `grace_s`. Raises as `create`."""
    secret = secrets.token_urlsafe(32)
    until_us = server_now_us() + int(grace_s * 1e6)
    rotated = KeyRotated(key_id, _digest(secret), until_us, actor)
    after = await _changed(log, lambda keys: decide_change(keys, rotated))
    return IssuedKey(_of(after.keys, key_id), SecretText(f"{PREFIX}_{key_id}_{secret}"))


async def revoke(log: EventLog, key_id: str, reason: str, actor: str) -> None:
    """Revokes a key. Raises KeyRefused or LogError."""
    await _changed(log, lambda keys: decide_change(keys, KeyRevoked(key_id, reason, actor)))


def decide_create(keys: Sequence[ApiKey], created: KeyCreated) -> list[Fact]:
    """The events of `create`. Pure. Raises KeyRefused."""
    if len(keys) >= KEYS_MAX:
        raise KeyRefused(f"there are {KEYS_MAX} keys: revoke some")
    return [created]


def decide_change(keys: Sequence[ApiKey], change: KeyRotated | KeyRevoked) -> list[Fact]:
    """The events of `rotate` and `revoke`. Pure. Raises KeyRefused."""
    _of(keys, change.key_id)
    return [change]


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def _of(keys: Sequence[ApiKey], key_id: str) -> ApiKey:
    for key in keys:
        if key.id == key_id:
            return key
    raise KeyRefused(f"there is no key {key_id}")


async def _changed(log: EventLog, decide: Callable[[Sequence[ApiKey]], Sequence[Fact]]) -> KeyRing:
    """The keys after this command. Raises KeyRefused or LogError."""

    async def read(head: OrderHead | None) -> KeyRing:
        return KeyRing() if head is None else _keys_in(head)

    def decided(state: KeyRing) -> Sequence[Fact]:
        return decide(state.keys)

    try:
        executed = await execute(log, KEYS_ID, always(decided), read=read)
    except NotTaken as error:
        raise KeyRefused(f"the log is {error.result.value}: nothing was written") from error
    except KeepsChanging as error:
        raise KeyRefused("the keys keep changing: try again") from error
    return executed.after
