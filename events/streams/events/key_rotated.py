"""The event `KeyRotated`."""

from __future__ import annotations

from msgspec.structs import replace

from events.event import Fact
from events.status import EngineStatus
from events.streams.state import ApiKey, KeyRing
from events.streams.system_event import SystemEvent


class KeyRotated(Fact, frozen=True, array_like=True, tag=True):
    """An API key got a new secret; the old one stays valid until `oldUntil`."""

    key_id: str
    digest: bytes
    """SHA-256 of the new secret."""
    old_until_us: int
    """When the previous secret expires, in µs."""
    actor: str


def _apply(ring: KeyRing, fact: KeyRotated, _: int) -> None:
    ring.keys = tuple(_rotated(key, fact) for key in ring.keys)


def _rotated(key: ApiKey, fact: KeyRotated) -> ApiKey:
    if key.id != fact.key_id:
        return key
    return replace(key, digest=fact.digest, old_digest=key.digest, old_until_us=fact.old_until_us)


EVENT = SystemEvent(
    KeyRotated,
    transitions={EngineStatus.RUNNING: EngineStatus.RUNNING},
    apply=_apply,
)
