"""The public view of `OrderArmed`."""

from __future__ import annotations

from events.types import OrderArmed
from projections.views.payloads.base import EventView, Payload
from projections.views.schemas import Count


class OrderArmedPayload(Payload):
    """Adds the first slot whose prices and pool events count."""

    slot: Count


def _payload(fact: OrderArmed) -> OrderArmedPayload:
    return OrderArmedPayload(slot=fact.slot)


def _lines(fact: OrderArmed) -> list[str]:
    return [f"waits; what happens from slot {fact.slot} on counts"]


VIEW = EventView(
    OrderArmed,
    OrderArmedPayload,
    _payload,
    _lines,
    label="Waiting for the market",
    writer="watcher",
)
