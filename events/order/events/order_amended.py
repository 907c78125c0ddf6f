"""The event `OrderAmended`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order
from events.status import Status


class OrderAmended(Fact, frozen=True, array_like=True, tag=True):
    """The terms of a waiting limit order were changed to these."""

    actor: str
    target_price: str
    expires_at_us: int | None


def _apply(order: Order, fact: OrderAmended, time_us: int) -> None:
    if order.target_price != fact.target_price:
        order.counts_from_us = time_us
    order.target_price = fact.target_price
    order.expires_at_us = fact.expires_at_us
    order.time_in_force = "GTT" if fact.expires_at_us else "GTC"
    order.retreats = 0
    order.paused_until_slot = 0


EVENT = OrderEvent(
    OrderAmended,
    transitions={Status.WATCHING: None},
    apply=_apply,
)
