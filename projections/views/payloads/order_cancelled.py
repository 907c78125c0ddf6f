"""The public view of `OrderCancelled`."""

from __future__ import annotations

from events.types import OrderCancelled
from projections.views.payloads.base import EventView, Payload


class OrderCancelledPayload(Payload):
    """Adds the reason and the actor."""

    reason: str
    actor: str


def _payload(fact: OrderCancelled) -> OrderCancelledPayload:
    return OrderCancelledPayload(reason=fact.reason, actor=fact.actor)


def _lines(fact: OrderCancelled) -> list[str]:
    return [f"{fact.reason}, by {fact.actor}" if fact.reason else f"by {fact.actor}"]


VIEW = EventView(
    OrderCancelled,
    OrderCancelledPayload,
    _payload,
    _lines,
    label="Cancelled",
    writer="gateway",
)
