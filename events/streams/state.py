"""The states of the engine switch and of the API keys."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from events.ids import ENGINE_STREAM_ID, KEYS_ID
from events.status import EngineStatus


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


class EngineState(SystemState):
    """Whether an operator has stopped sends and triggers."""

    id: str = ENGINE_STREAM_ID
    status: EngineStatus = EngineStatus.RUNNING
    reason: str = ""


class KeyRing(SystemState):
    """The API keys that were not revoked."""

    id: str = KEYS_ID
    keys: tuple[ApiKey, ...] = ()

    @property
    def status(self) -> EngineStatus:
        """Keys have no status of their own: their events and rows carry this one."""
        return EngineStatus.RUNNING
