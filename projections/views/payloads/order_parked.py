"""The payload of `OrderParked`."""

from __future__ import annotations

from typing import Self

from events.types import OrderParked
from projections.views.payloads.base import Payload


class OrderParkedPayload(Payload):
    """Adds where, why and by whom."""

    stage: str
    reason: str
    actor: str

    @classmethod
    def from_event(cls, fact: OrderParked) -> Self:
        """See Payload."""
        return cls(stage=fact.stage, reason=fact.reason, actor=fact.actor)
