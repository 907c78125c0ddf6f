"""The public view of `OrderAmended`."""

from __future__ import annotations

from events.types import OrderAmended
from projections.views.formats import time_or_none, timestamp
from projections.views.payloads.base import EventView, Payload
from projections.views.schemas import Time


class OrderAmendedPayload(Payload):
    """Adds the new terms of the order."""

    actor: str
    target_price: str
    expires_at: Time | None


def _payload(fact: OrderAmended) -> OrderAmendedPayload:
    return OrderAmendedPayload(
        actor=fact.actor,
        target_price=fact.target_price,
        expires_at=time_or_none(fact.expires_at_us),
    )


def _lines(fact: OrderAmended) -> list[str]:
    price = f"at {fact.target_price}, " if fact.target_price else ""
    until = f"until {timestamp(fact.expires_at_us)}" if fact.expires_at_us else "until cancelled"
    return [f"{price}{until}, by {fact.actor}"]


VIEW = EventView(
    OrderAmended,
    OrderAmendedPayload,
    _payload,
    _lines,
    label="Amended",
    writer="gateway",
)
