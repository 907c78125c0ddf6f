"""Which stage is next for an order, and which commands it still allows. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from events.order.events.order_cancelled import OrderCancelled
from events.order.state import Order
from events.order.transitions import NEXT
from events.order.wait_reasons import WaitReason
from events.status import TERMINAL, Status

STAGES = ("router", "builder", "submitter", "confirmer", "watcher")
"""Their numbers stand in heads: new ones are appended."""

IMMEDIATE_TIFS = frozenset({"IOC", "FOK"})
"""Times in force of orders that are filled by their first attempt or not at all."""


def next_stage(order: Order) -> str | None:
    """The stage that appends the order's next event, or None.

    None for an order that has ended, is parked, or is `watching`: that one continues by a tick, a
    pool event, a command or its expiry.
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


def retry_reason(order: Order) -> WaitReason:
    """Why an order that is tried again waits for its next attempt."""
    return WaitReason.NODE if order.outages else WaitReason.BACKOFF


_WITHOUT_STAGE = TERMINAL | {Status.WATCHING}


EXECUTED = "executed on chain by "
"""The prefix of the reason with which a repair parks an order that was executed on chain by a
transaction whose events are lost."""


_LOST = ", whose events are lost"


def was_executed(order: Order) -> bool:
    """Whether a repair parked it as executed: it must not be executed again."""
    return order.parked.startswith(EXECUTED)


def executed_by(order: Order) -> tuple[str, ...]:
    """The signatures that the repair recorded; empty for an order that it did not park."""
    if not was_executed(order):
        return ()
    return tuple(order.parked.removeprefix(EXECUTED).removesuffix(_LOST).split(", "))


def executed_reason(signatures: Sequence[str]) -> str:
    """The reason with which a repair parks an order that these transactions executed."""
    return f"{EXECUTED}{', '.join(signatures)}{_LOST}"


def may_cancel(order: Order) -> bool:
    """Whether the order can be cancelled: no transaction was sent, or the last one is proved dead
    and its replacement is not sent yet.
    """
    may = order.status in _MAY_CANCEL and not was_executed(order)
    return may and not may_still_land(order)


_MAY_CANCEL = frozenset(status for status, row in NEXT.items() if status and OrderCancelled in row)


def next_attempt(order: Order) -> int:
    """The number of the order's next transaction; a number is never used twice."""
    return max(order.attempts, order.transactions) + 1


def may_still_land(order: Order) -> bool:
    """Whether a transaction of this order was sent and its outcome is not known."""
    return (
        order.status is Status.SUBMITTED
        and order.transaction is not None
        and bool(order.transaction.submitted_at_us)
    )
