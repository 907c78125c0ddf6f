"""The event `OrderExpired`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order
from events.status import UNSENT, Status


class OrderExpired(Fact, frozen=True, array_like=True, tag=True):
    """`expires_at_us` passed before anything was sent."""

    stage: str
    reason: str
    attempts: int


def _apply(order: Order, fact: OrderExpired, _: int) -> None:
    order.failed_stage = fact.stage
    order.reason = fact.reason
    order.attempts = fact.attempts
    order.in_doubt = False
    order.parked = ""
    order.transaction = None


EVENT = OrderEvent(
    OrderExpired,
    transitions=dict.fromkeys(UNSENT, Status.EXPIRED),
    apply=_apply,
)
