"""The event `TransactionInDoubt`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order
from events.status import Status


class TransactionInDoubt(Fact, frozen=True, array_like=True, tag=True):
    """The outcome of the transaction cannot be determined; the engine keeps asking."""

    signature: str
    reason: str
    detail: str = ""
    """What is missing, such as a method that no node serves."""


def _apply(order: Order, fact: TransactionInDoubt, _: int) -> None:
    order.in_doubt = True
    order.doubt = fact.detail


EVENT = OrderEvent(
    TransactionInDoubt,
    transitions={Status.SUBMITTED: None},
    apply=_apply,
)
