"""The states of the engine switch and of the API keys."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from events.ids import ENGINE_STREAM_ID, KEYS_ID
from events.status import EngineStatus


class ApiKey(msgspec.Struct, frozen=True, array_like=True):
    """A key that was not revoked. Times in µs; 0 is never."""

    id: str
    account: str
    scopes: tuple[str, ...]
    digest: bytes
    """SHA-256 of the secret."""
    label: str
    created_at_us: int
    expires_at_us: int = 0
    old_digest: bytes = b""
    """SHA-256 of the secret before the last rotation."""
    old_until_us: int = 0
    """When the old secret expires."""


class SystemState(msgspec.Struct):
    """Base of the states of streams other than orders. They are never terminal."""

    terminal: ClassVar[bool] = False

    id: str
    account: str = ""
    version: int = 0
    created_at_us: int = 0
    updated_at_us: int = 0


class EngineState(SystemState):
    """Whether an operator has halted sends and triggers."""

    id: str = ENGINE_STREAM_ID
    status: EngineStatus = EngineStatus.RUNNING
    reason: str = ""


class KeyRing(SystemState):
    """All API keys that were not revoked."""

    id: str = KEYS_ID
    keys: tuple[ApiKey, ...] = ()

    @property
    def status(self) -> EngineStatus:
        """Always RUNNING: the stream of keys has no other status."""
        return EngineStatus.RUNNING
