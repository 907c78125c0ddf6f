"""The payload of `OrderExpired`."""

from __future__ import annotations

from typing import Self

from events.types import OrderExpired
from projections.views.payloads.base import Payload
from projections.views.schemas import Count, FailureReason


class OrderExpiredPayload(Payload):
    """Adds where and why."""

    stage: str
    reason: FailureReason
    attempts: Count

    @classmethod
    def from_event(cls, fact: OrderExpired) -> Self:
        """See Payload."""
        return cls(stage=fact.stage, reason=fact.reason, attempts=fact.attempts)
