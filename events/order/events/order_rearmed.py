"""The event `OrderRearmed`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order
from events.quote import Quote
from events.status import Status


class OrderRearmed(Fact, frozen=True, array_like=True, tag=True):
    """The price left the target before the swap: the order waits again.

    Written only where no transaction of the order can land: before the send, or after the
    transaction failed on chain. `slot` is the first whose ticks count again.
    """

    stage: str
    reason: str
    slot: int
    amount_out: int
    """The best output that was quoted; 0 where it is not known."""
    min_amount_out: int
    quotes: tuple[Quote, ...] = ()
    decimals_in: int = 0
    decimals_out: int = 0
    fee_lamports: int = 0
    """The network fee of a transaction that failed on chain."""
    paused_until_slot: int = 0
    """Before it a price counts only if it left the target or rose since; 0: every price counts."""


def _apply(order: Order, fact: OrderRearmed, _: int) -> None:
    order.triggered = False
    order.retreats += 1
    order.watch_slot = fact.slot
    order.paused_until_slot = fact.paused_until_slot
    order.next_attempt_at_us = 0
    order.in_doubt = False
    order.transaction = None
    # The route is gone, and the minimum that was fixed with it.
    order.dex = order.pool = order.price = order.signature = ""
    order.quoted_amount_out = order.min_amount_out = None
    order.legs = ()
    order.warnings = ()
    order.stale_route = False
    order.fee_lamports += fact.fee_lamports


EVENT = OrderEvent(
    OrderRearmed,
    transitions={
        Status.ROUTING: Status.WATCHING,
        Status.BUILDING: Status.WATCHING,
        # Only where no transaction can land any more: it failed on chain, or was proved dead.
        Status.SUBMITTED: Status.WATCHING,
    },
    apply=_apply,
)
