"""The event `TransactionSubmitted`."""

from __future__ import annotations

from msgspec.structs import replace

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order
from events.status import Status


class TransactionSubmitted(Fact, frozen=True, array_like=True, tag=True):
    """Written durably before the send: from here on the transaction may land."""

    attempt: int
    signature: str


def _apply(order: Order, _: TransactionSubmitted, time_us: int) -> None:
    if order.transaction is not None:
        order.transaction = replace(order.transaction, submitted_at_us=time_us)
    order.outages = 0


EVENT = OrderEvent(
    TransactionSubmitted,
    transitions={
        Status.BUILDING: Status.SUBMITTED,
        # A replacement of a transaction proved dead.
        Status.SUBMITTED: None,
    },
    apply=_apply,
)
