"""The event `KeyCreated`."""

from __future__ import annotations

from events.event import Fact
from events.status import EngineStatus
from events.streams.state import ApiKey, KeyRing
from events.streams.system_event import SystemEvent


class KeyCreated(Fact, frozen=True, array_like=True, tag=True):
    """An API key was created. An event of the stream `KEYS_ID`."""

    key_id: str
    account: str
    scopes: tuple[str, ...]
    digest: bytes
    """SHA-256 of the secret; the secret itself is not stored."""
    label: str
    expires_at_us: int
    """0: never."""
    actor: str


def _apply(ring: KeyRing, fact: KeyCreated, time_us: int) -> None:
    created = ApiKey(
        id=fact.key_id,
        account=fact.account,
        scopes=fact.scopes,
        digest=fact.digest,
        label=fact.label,
        created_at_us=time_us,
        expires_at_us=fact.expires_at_us,
    )
    ring.keys = (*ring.keys, created)


EVENT = SystemEvent(
    KeyCreated,
    transitions={None: EngineStatus.RUNNING, EngineStatus.RUNNING: EngineStatus.RUNNING},
    apply=_apply,
)
