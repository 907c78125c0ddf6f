"""The event `KeyRevoked`."""

from __future__ import annotations

from events.event import Fact
from events.status import EngineStatus
from events.streams.state import KeyRing
from events.streams.system_event import SystemEvent


class KeyRevoked(Fact, frozen=True, array_like=True, tag=True):
    """An API key was revoked."""

    key_id: str
    reason: str
    actor: str


def _apply(ring: KeyRing, fact: KeyRevoked, _: int) -> None:
    ring.keys = tuple(key for key in ring.keys if key.id != fact.key_id)


EVENT = SystemEvent(
    KeyRevoked,
    transitions={EngineStatus.RUNNING: EngineStatus.RUNNING},
    apply=_apply,
)
