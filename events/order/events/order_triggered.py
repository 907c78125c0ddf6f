"""The event `OrderTriggered`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order
from events.status import Status


class OrderTriggered(Fact, frozen=True, array_like=True, tag=True):
    """The trigger of the order fired: the tick or the pool event that fired it."""

    cause: str
    """`tick`, `pool-created`, `pool-opened` or `liquidity-added`."""
    dex: str
    pool: str
    slot: int
    price: str
    """Net token_out per token_in in that slot, in whole tokens; a decimal string rounded down."""
    liquidity: int = 0
    """Of the pool, in base units of token_in; 0 for a tick."""
    decimals_in: int = 0
    first_slot: int | None = None
    """The first slot that counted for the order: that in which it was armed, or in which its
    price was amended, as the venue reported it. None in events of builds that did not record it."""


def _apply(order: Order, fact: OrderTriggered, _: int) -> None:
    order.triggered = True
    order.trigger_price = fact.price
    order.watch_slot = fact.slot
    order.paused_until_slot = 0
    order.attempts = order.outages = 0
    order.next_attempt_at_us = 0


EVENT = OrderEvent(
    OrderTriggered,
    transitions={Status.WATCHING: Status.PENDING},
    apply=_apply,
)
