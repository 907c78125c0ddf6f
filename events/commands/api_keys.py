"""API keys: made, rotated and revoked by events in the log; what is good is a fold of them.

A key reads `oee_<id>_<secret>`. The log keeps SHA-256 of the secret: it is 256 random bits, so that
there is nothing to guess and a slow hash would only slow down those who may come in.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

from events.ids import KEYS_ID
from events.log import EMPTY, EventLog, Result, head_of, new_order
from events.order import ApiKey, Order
from events.secret import SecretText
from events.types import Fact, KeyCreated, KeyRevoked, KeyRotated

SCOPES = ("read", "trade", "cancel", "admin")
"""What a key may be good for. `admin` is everything, for every account."""

PREFIX = "oee"
ACCOUNT_LENGTH = 64
"""As the setting ACCOUNT."""
TRIES = 20
ACT_S = 5.0
KEYS_MAX = 1000
"""They stand in one head, which each of these acts writes."""


class KeyRefused(Exception):
    """What cannot be done about a key, as one line."""


class Minted(NamedTuple):
    """A key, and its text, which nobody is told a second time."""

    key: ApiKey
    text: SecretText


class Shown(NamedTuple):
    """What somebody came with: which key, and the digest of its secret."""

    key_id: str
    digest: bytes


def shown(text: SecretText) -> Shown:
    """What a text says; of no key where it is none."""
    prefix, _, rest = text.reveal().partition("_")
    key_id, _, secret = rest.partition("_")
    return Shown(key_id if prefix == PREFIX else "", _digest(secret))


def good(one: Shown, keys: Sequence[ApiKey], now_us: int) -> ApiKey | None:
    """The key that opens to what was shown; None where it is unknown, expired, revoked or turned.

    Secrets are compared in constant time; which ids there are is no secret.
    """
    key = next((key for key in keys if key.id == one.key_id), None)
    if key is None or (key.expires_at_us and key.expires_at_us <= now_us):
        return None
    digest = one.digest
    if hmac.compare_digest(digest, key.digest):
        return key
    old = hmac.compare_digest(digest, key.old_digest)
    return key if old and now_us < key.old_until_us else None


async def listed(log: EventLog) -> tuple[ApiKey, ...]:
    """The keys that were not revoked. Raises LogError."""
    head = (await log.load([KEYS_ID]))[0]
    return () if head is None else head.order.keys


async def create(
    log: EventLog, account: str, scopes: Sequence[str], label: str, expires_at_us: int, actor: str
) -> Minted:
    """Makes a key. Raises KeyRefused or LogError."""
    if not 1 <= len(account) <= ACCOUNT_LENGTH:
        raise KeyRefused(f"an account has 1 to {ACCOUNT_LENGTH} characters")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise KeyRefused(f"the scopes are some of {', '.join(SCOPES)}")
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    made = KeyCreated(key_id, account, tuple(scopes), _digest(secret), label, expires_at_us, actor)

    def judge(keys: Sequence[ApiKey]) -> Fact:
        if len(keys) >= KEYS_MAX:
            raise KeyRefused(f"there are {KEYS_MAX} keys: revoke some")
        return made

    after = await _act(log, judge)
    return Minted(_of(after.keys, key_id), SecretText(f"{PREFIX}_{key_id}_{secret}"))


async def rotate(log: EventLog, key_id: str, grace_s: float, actor: str) -> Minted:
    """Gives a key another secret; the old one is good for `grace_s`. Raises as `create`."""
    secret = secrets.token_urlsafe(32)
    until_us = time.time_ns() // 1000 + int(grace_s * 1e6)

    def judge(keys: Sequence[ApiKey]) -> Fact:
        _of(keys, key_id)
        return KeyRotated(key_id, _digest(secret), until_us, actor)

    after = await _act(log, judge)
    return Minted(_of(after.keys, key_id), SecretText(f"{PREFIX}_{key_id}_{secret}"))


async def revoke(log: EventLog, key_id: str, reason: str, actor: str) -> None:
    """Makes a key good for nothing. Raises KeyRefused or LogError."""

    def judge(keys: Sequence[ApiKey]) -> Fact:
        _of(keys, key_id)
        return KeyRevoked(key_id, reason, actor)

    await _act(log, judge)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def _of(keys: Sequence[ApiKey], key_id: str) -> ApiKey:
    for key in keys:
        if key.id == key_id:
            return key
    raise KeyRefused(f"there is no key {key_id}")


async def _act(log: EventLog, judge: Callable[[Sequence[ApiKey]], Fact]) -> Order:
    """The keys after an act, which is judged anew where somebody else was there first."""
    for _ in range(TRIES):
        head = (await log.load([KEYS_ID]))[0]
        before = new_order(KEYS_ID, "") if head is None else head.order
        unit, after = log.unit(head or EMPTY, before, [judge(before.keys)])
        answer = (await log.append([unit], timeout_s=ACT_S))[0]
        if answer.result is Result.EXISTS:  # ours, or somebody else's first key
            found = (await log.load([KEYS_ID]))[0]
            if found is not None and found.hash == head_of(unit.new).hash:
                return after
        elif answer.result is Result.CREATED:
            return after
        elif answer.result is not Result.CONFLICT:
            raise KeyRefused(f"the log is {answer.result.value}: nothing was written")
    raise KeyRefused("the keys keep changing: try again")
