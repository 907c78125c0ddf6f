"""The event `OrderParked`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order
from events.status import OPEN


class OrderParked(Fact, frozen=True, array_like=True, tag=True):
    """The engine itself cannot continue this order; an operator decides."""

    stage: str
    reason: str
    actor: str


def _apply(order: Order, fact: OrderParked, _: int) -> None:
    order.parked = fact.reason or "parked"


EVENT = OrderEvent(
    OrderParked,
    transitions=dict.fromkeys(OPEN),
    apply=_apply,
)
