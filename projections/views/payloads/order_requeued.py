"""The public view of `OrderRequeued`."""

from __future__ import annotations

from events.types import OrderRequeued
from projections.views.payloads.base import EventView, Payload


class OrderRequeuedPayload(Payload):
    """Adds the reason and the operator."""

    reason: str
    actor: str


def _payload(fact: OrderRequeued) -> OrderRequeuedPayload:
    return OrderRequeuedPayload(reason=fact.reason, actor=fact.actor)


def _lines(fact: OrderRequeued) -> list[str]:
    return [f"{fact.reason}, by {fact.actor}"]


VIEW = EventView(
    OrderRequeued,
    OrderRequeuedPayload,
    _payload,
    _lines,
    label="Requeued",
)
