"""The event `TransactionExpired`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order
from events.status import Status


class TransactionExpired(Fact, frozen=True, array_like=True, tag=True):
    """Proof of death: the chain finalized past its last valid height without it."""

    attempt: int
    signature: str
    last_valid_height: int
    finalized_height: int
    handed_over: bool = True
    """False where no node is known to have accepted the transaction; it spends no attempt then."""


def _apply(order: Order, fact: TransactionExpired, _: int) -> None:
    order.transaction = None
    order.attempts += fact.handed_over
    order.in_doubt = False


EVENT = OrderEvent(
    TransactionExpired,
    transitions={Status.SUBMITTED: None},
    apply=_apply,
)
