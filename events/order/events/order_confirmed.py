"""The event `OrderConfirmed`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order
from events.quote import Fill
from events.status import Status


class OrderConfirmed(Fact, frozen=True, array_like=True, tag=True):
    """The swap landed at the configured commitment."""

    signature: str
    amount_out: int
    executed_price: str
    decimals_out: int
    slot: int
    amount_in: int = 0
    """The input spent, in base units; 0 where it equals the order's amount_in."""
    decimals_in: int = 0
    fee_lamports: int = 0
    """The network fee of the transaction."""
    rent_lamports: int = 0
    """The rent of token accounts that the transaction opened."""
    fills: tuple[Fill, ...] = ()
    """One for each swap of the route, in order; empty where the venue names no pools."""


def _apply(order: Order, fact: OrderConfirmed, _: int) -> None:
    order.signature = fact.signature
    order.amount_out = fact.amount_out
    order.executed_price = fact.executed_price
    order.amount_taken = fact.amount_in
    if order.exact_amount_out is not None:  # else it is what was asked for
        order.amount_in = fact.amount_in or order.amount_in
    order.fee_lamports += fact.fee_lamports
    order.rent_lamports += fact.rent_lamports
    order.fills = fact.fills
    order.in_doubt = False
    order.transaction = None


EVENT = OrderEvent(
    OrderConfirmed,
    transitions={Status.SUBMITTED: Status.CONFIRMED},
    apply=_apply,
)
