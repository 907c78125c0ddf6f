"""The payload of events of which only the reason and the actor are shown."""

from __future__ import annotations

from typing import Self

from events.types import EngineHalted, EngineResumed, OrderCancelled, OrderRequeued
from projections.views.payloads.base import Payload


class ReasonAndActorPayload(Payload):
    """Adds why and by whom."""

    reason: str
    actor: str

    @classmethod
    def from_event(
        cls, fact: OrderRequeued | OrderCancelled | EngineHalted | EngineResumed
    ) -> Self:
        """See Payload."""
        return cls(reason=fact.reason, actor=fact.actor)
