"""The public view of `OrderParked`."""

from __future__ import annotations

from events.types import OrderParked
from projections.views.payloads.base import EventView, Payload


class OrderParkedPayload(Payload):
    """Adds the stage, the reason and the actor."""

    stage: str
    reason: str
    actor: str


def _payload(fact: OrderParked) -> OrderParkedPayload:
    return OrderParkedPayload(stage=fact.stage, reason=fact.reason, actor=fact.actor)


def _lines(fact: OrderParked) -> list[str]:
    return [f"{fact.stage}: {fact.reason}, by {fact.actor}"]


VIEW = EventView(
    OrderParked,
    OrderParkedPayload,
    _payload,
    _lines,
    label="Parked",
)
