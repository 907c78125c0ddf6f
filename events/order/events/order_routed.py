"""The event `OrderRouted`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order
from events.quote import Quote
from events.status import Status


class OrderRouted(Fact, frozen=True, array_like=True, tag=True):
    """The route was chosen. `min_amount_out` is fixed by this event and never lowered."""

    dex: str
    pool: str
    amount_out: int
    min_amount_out: int
    price: str
    """Expected net amount_out / amount_in in whole tokens, a decimal string rounded down."""
    quotes: tuple[Quote, ...]
    decimals_in: int
    decimals_out: int
    chosen: int = -1
    """Index of the winning quote; -1 in logs of builds that recorded one quote for each venue."""
    amount_in: int = 0
    """Swap mode exactOut: the expected input, in base units."""
    max_amount_in: int = 0
    """Swap mode exactOut: the maximum input, in base units, fixed by this event."""


def _apply(order: Order, fact: OrderRouted, _: int) -> None:
    order.dex = fact.dex
    order.pool = fact.pool
    order.quoted_amount_out = fact.amount_out
    order.min_amount_out = fact.min_amount_out
    order.price = fact.price
    order.stale_route = False
    chosen = fact.quotes[fact.chosen] if 0 <= fact.chosen < len(fact.quotes) else None
    order.legs = chosen.legs if chosen is not None else ()
    order.warnings = chosen.warnings if chosen is not None else ()
    if order.exact_amount_out is not None:
        order.amount_in = fact.amount_in
        order.max_amount_in = fact.max_amount_in


EVENT = OrderEvent(
    OrderRouted,
    transitions={
        Status.ROUTING: Status.BUILDING,
        # A route that could not be built is replaced.
        Status.BUILDING: None,
        # So is one of which a transaction is proved dead.
        Status.SUBMITTED: None,
    },
    apply=_apply,
)
