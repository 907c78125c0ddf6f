"""The event `OrderArmed`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order
from events.status import Status


class OrderArmed(Fact, frozen=True, array_like=True, tag=True):
    """A limit or sniper order began to wait. Prices and pool events of `slot` and later count."""

    slot: int


def _apply(order: Order, fact: OrderArmed, _: int) -> None:
    order.watch_slot = fact.slot


EVENT = OrderEvent(
    OrderArmed,
    transitions={Status.PENDING: Status.WATCHING},
    apply=_apply,
)
