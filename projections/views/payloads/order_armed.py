"""The payload of `OrderArmed`."""

from __future__ import annotations

from typing import Self

from events.types import OrderArmed
from projections.views.payloads.base import Payload
from projections.views.schemas import Count


class OrderArmedPayload(Payload):
    """Adds the slot from which on prices and pools count."""

    slot: Count

    @classmethod
    def from_event(cls, fact: OrderArmed) -> Self:
        """See Payload."""
        return cls(slot=fact.slot)
