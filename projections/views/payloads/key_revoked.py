"""The payload of `KeyRevoked`."""

from __future__ import annotations

from typing import Self

from events.types import KeyRevoked
from projections.views.payloads.base import Payload


class KeyRevokedPayload(Payload):
    """Adds why and by whom."""

    key_id: str
    reason: str
    actor: str

    @classmethod
    def from_event(cls, fact: KeyRevoked) -> Self:
        """See Payload."""
        return cls(key_id=fact.key_id, reason=fact.reason, actor=fact.actor)
