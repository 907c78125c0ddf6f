"""The payload of `KeyRotated`."""

from __future__ import annotations

from typing import Self

from events.types import KeyRotated
from projections.views.formats import time_or_none
from projections.views.payloads.base import Payload
from projections.views.schemas import Time


class KeyRotatedPayload(Payload):
    """Adds until when the secret before is good."""

    key_id: str
    old_until: Time | None
    actor: str

    @classmethod
    def from_event(cls, fact: KeyRotated) -> Self:
        """See Payload."""
        return cls(
            key_id=fact.key_id,
            old_until=time_or_none(fact.old_until_us),
            actor=fact.actor,
        )
