"""What the engine's switch and the API keys are, and what their events change.

Rule of this file: pure, and it never judges, as `events.order`: an event that does not belong to a
stream leaves its state as it was, and the audit is what reports it.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec
from msgspec.structs import replace

from events import types as t
from events.ids import ENGINE_STREAM_ID, KEYS_ID
from events.order.transitions import NEXT
from events.types import EngineStatus, Event, Fact


class ApiKey(msgspec.Struct, frozen=True, array_like=True):
    """A key that is good, until it expires. Times in µs; 0 is never."""

    id: str
    account: str
    scopes: tuple[str, ...]
    digest: bytes
    """SHA-256 of its secret."""
    label: str
    created_at_us: int
    expires_at_us: int = 0
    old_digest: bytes = b""
    """Of the secret before the last rotation, …"""
    old_until_us: int = 0
    """… which is good until then."""


class SystemState(msgspec.Struct):
    """Base of the states of streams other than orders. They never end."""

    terminal: ClassVar[bool] = False

    id: str
    account: str = ""
    version: int = 0
    created_at_us: int = 0
    updated_at_us: int = 0

    def _count(self, event: Event) -> None:
        self.version = event.version
        self.updated_at_us = event.time_us
        self.created_at_us = self.created_at_us or event.time_us


class EngineState(SystemState):
    """Whether an operator has stopped sends and triggers."""

    id: str = ENGINE_STREAM_ID
    status: EngineStatus = EngineStatus.RUNNING
    reason: str = ""

    def status_after(self, fact: Fact) -> EngineStatus:
        """The status that follows; an event that does not fit leaves it as it was."""
        before = self.status if self.version else None
        return ENGINE_NEXT[before].get(type(fact), self.status)

    def advance(self, event: Event) -> None:
        """The state after an event, in place."""
        self.status = self.status_after(event.fact)
        if isinstance(event.fact, t.EngineHalted | t.EngineResumed):
            self.reason = event.fact.reason
        self._count(event)


class KeyRing(SystemState):
    """The API keys that were not revoked."""

    id: str = KEYS_ID
    keys: tuple[ApiKey, ...] = ()

    @property
    def status(self) -> EngineStatus:
        """As its events and rows have always said."""
        return EngineStatus.RUNNING

    def status_after(self, _: Fact) -> EngineStatus:
        """Keys have no status of their own."""
        return self.status

    def advance(self, event: Event) -> None:
        """The state after an event, in place."""
        match event.fact:
            case t.KeyCreated() as f:
                created = ApiKey(
                    f.key_id, f.account, f.scopes, f.digest, f.label, event.time_us, f.expires_at_us
                )
                self.keys = (*self.keys, created)
            case t.KeyRotated() as f:
                self.keys = tuple(_rotated(key, f) for key in self.keys)
            case t.KeyRevoked() as f:
                self.keys = tuple(key for key in self.keys if key.id != f.key_id)
        self._count(event)


def _rotated(key: ApiKey, f: t.KeyRotated) -> ApiKey:
    if key.id != f.key_id:
        return key
    return replace(key, digest=f.digest, old_digest=key.digest, old_until_us=f.old_until_us)


ENGINE_NEXT: dict[EngineStatus | None, dict[type[Fact], EngineStatus]] = {
    None: {t.EngineHalted: EngineStatus.HALTED},
    EngineStatus.HALTED: {t.EngineResumed: EngineStatus.RUNNING},
    EngineStatus.RUNNING: {t.EngineHalted: EngineStatus.HALTED},
}
"""What may follow what, as `events.order.NEXT`."""

KEYS_FIRST: frozenset[type[Fact]] = frozenset({t.KeyCreated})
KEYS_NEXT: frozenset[type[Fact]] = frozenset({t.KeyCreated, t.KeyRotated, t.KeyRevoked})

OF_SYSTEM = frozenset[type[Fact]]().union(KEYS_NEXT, *ENGINE_NEXT.values())
"""The events of these streams."""
assert OF_SYSTEM | set().union(*NEXT.values()) == set(t.FACTS.values()), "every event follows some"
