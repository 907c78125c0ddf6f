"""The event `OrderFailed`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order
from events.status import OPEN, Status


class OrderFailed(Fact, frozen=True, array_like=True, tag=True):
    """No transaction of this order can land any more, or none was ever sent."""

    stage: str
    reason: str
    attempts: int
    detail: str = ""
    actor: str = ""
    fee_lamports: int = 0
    """The network fee of a transaction that failed on chain."""


def _apply(order: Order, fact: OrderFailed, _: int) -> None:
    order.fee_lamports += fact.fee_lamports
    order.failed_stage = fact.stage
    order.reason = fact.reason
    order.detail = fact.detail
    order.attempts = fact.attempts
    order.in_doubt = False
    order.parked = ""
    order.transaction = None


EVENT = OrderEvent(
    OrderFailed,
    transitions=dict.fromkeys(OPEN, Status.FAILED),
    apply=_apply,
)
