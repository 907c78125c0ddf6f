"""The event `OrderRequeued`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order
from events.status import OPEN


class OrderRequeued(Fact, frozen=True, array_like=True, tag=True):
    """An operator put a parked order back to work."""

    reason: str
    actor: str


def _apply(order: Order, _: OrderRequeued, time_us: int) -> None:
    order.parked = ""
    order.counts_from_us = time_us
    order.next_attempt_at_us = 0


EVENT = OrderEvent(
    OrderRequeued,
    transitions=dict.fromkeys(OPEN),
    apply=_apply,
)
