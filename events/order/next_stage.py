"""Who has the next word on an order, and what may still be done about it: read off its state.

Pure: (status, state of the transaction) -> stage.
"""

from __future__ import annotations

from collections.abc import Sequence

from events.order.events.order_cancelled import OrderCancelled
from events.order.state import Order
from events.order.transitions import NEXT
from events.status import TERMINAL, Status

STAGES = ("router", "builder", "submitter", "confirmer", "watcher")
"""Their numbers stand in heads: new ones are appended."""

IMMEDIATE_TIFS = frozenset({"IOC", "FOK"})
"""Times in force of orders that are filled by their first attempt or not at all."""


def next_stage(order: Order) -> str | None:
    """The stage that owes this order its next event, or None.

    Nobody owes a resting order anything: a tick, a cancel or its expiry comes, or nothing does.
    """
    status = order.status
    if order.parked or status in _WITHOUT_STAGE:
        return None
    if status is Status.PENDING and not order.triggered and order.kind.waits:
        return "watcher"
    if status in (Status.PENDING, Status.ROUTING):
        return "router"
    if order.transaction is None:
        return "router" if order.stale_route else "builder"
    return "confirmer" if order.transaction.submitted_at_us else "submitter"


_WITHOUT_STAGE = TERMINAL | {Status.WATCHING}


EXECUTED = "executed on chain by "
"""How a repair's reason begins which parks an order that the chain has executed, by a transaction
of which the log knows nothing any more."""


_LOST = ", whose events are lost"


def was_executed(order: Order) -> bool:
    """Whether a repair found that out: nothing may be said of its end, or done again."""
    return order.parked.startswith(EXECUTED)


def executed_by(order: Order) -> tuple[str, ...]:
    """The transactions by which it was, as the repair named them."""
    if not was_executed(order):
        return ()
    return tuple(order.parked.removeprefix(EXECUTED).removesuffix(_LOST).split(", "))


def executed_reason(signatures: Sequence[str]) -> str:
    """Why a repair parks an order that these transactions executed; see `executed_by`."""
    return f"{EXECUTED}{', '.join(signatures)}{_LOST}"


def may_cancel(order: Order) -> bool:
    """Whether no transaction of the order is out, so that a cancel wins: none was ever sent, or the
    last one was proved dead and its replacement is not sent yet.
    """
    may = order.status in _MAY_CANCEL and not was_executed(order)
    return may and not may_still_land(order)


_MAY_CANCEL = frozenset(status for status, row in NEXT.items() if status and OrderCancelled in row)


def next_attempt(order: Order) -> int:
    """The number of the order's next transaction: never one that was used before."""
    return max(order.attempts, order.transactions) + 1


def may_still_land(order: Order) -> bool:
    """Whether a transaction of this order is out, so that only the chain can tell its end."""
    return (
        order.status is Status.SUBMITTED
        and order.transaction is not None
        and bool(order.transaction.submitted_at_us)
    )
