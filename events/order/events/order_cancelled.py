"""The event `OrderCancelled`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order
from events.status import OPEN, Status


class OrderCancelled(Fact, frozen=True, array_like=True, tag=True):
    """The order was cancelled: no transaction of it was sent, or each one sent is proved dead."""

    actor: str
    reason: str = ""


def _apply(order: Order, fact: OrderCancelled, _: int) -> None:
    order.reason = fact.reason
    order.parked = ""
    order.transaction = None


EVENT = OrderEvent(
    OrderCancelled,
    transitions=dict.fromkeys(OPEN, Status.CANCELLED),
    apply=_apply,
)
