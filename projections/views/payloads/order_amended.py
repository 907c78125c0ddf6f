"""The payload of `OrderAmended`."""

from __future__ import annotations

from typing import Self

from events.types import OrderAmended
from projections.views.formats import time_or_none
from projections.views.payloads.base import Payload
from projections.views.schemas import Time


class OrderAmendedPayload(Payload):
    """Adds the terms that hold from now on."""

    actor: str
    target_price: str
    expires_at: Time | None

    @classmethod
    def from_event(cls, fact: OrderAmended) -> Self:
        """See Payload."""
        return cls(
            actor=fact.actor,
            target_price=fact.target_price,
            expires_at=time_or_none(fact.expires_at_us),
        )
