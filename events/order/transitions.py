"""What may follow what: status -> event -> status after it. `None` is "no order yet".

Pure: a table, which the fold, the audit and the tests share.
"""

from __future__ import annotations

from events import types as t
from events.order.state import Order
from events.types import Status

_ANYTIME: dict[type[t.Fact], Status | None] = {
    t.AttemptFailed: None,
    t.OrderParked: None,
    t.OrderRequeued: None,
    # Always in one breath with the end that it tells of.
    t.TransactionRecovered: Status.SUBMITTED,
}
_BEFORE_SEND: dict[type[t.Fact], Status | None] = {
    **_ANYTIME,
    t.OrderFailed: Status.FAILED,
    t.OrderExpired: Status.EXPIRED,
    t.OrderCancelled: Status.CANCELLED,
}

_TRANSITIONS: dict[Status | None, dict[type[t.Fact], Status | None]] = {
    None: {
        t.OrderSubmitted: Status.PENDING,
    },
    Status.PENDING: {
        **_BEFORE_SEND,
        t.RoutingStarted: Status.ROUTING,
        t.OrderArmed: Status.WATCHING,
    },
    Status.WATCHING: {
        **_BEFORE_SEND,
        t.OrderAmended: None,
        t.OrderTriggered: Status.PENDING,
    },
    Status.ROUTING: {
        **_BEFORE_SEND,
        t.OrderRouted: Status.BUILDING,
        t.OrderRearmed: Status.WATCHING,
    },
    Status.BUILDING: {
        **_BEFORE_SEND,
        # A route that could not be built is looked for again.
        t.OrderRouted: None,
        t.OrderRearmed: Status.WATCHING,
        t.TransactionBuilt: None,
        t.TransactionSubmitted: Status.SUBMITTED,
    },
    # A replacement of a transaction proved dead is built and sent without leaving `submitted`.
    Status.SUBMITTED: {
        **_ANYTIME,
        t.OrderRouted: None,
        t.TransactionBuilt: None,
        t.TransactionSubmitted: None,
        t.TransactionExpired: None,
        t.TransactionInDoubt: None,
        t.OrderConfirmed: Status.CONFIRMED,
        t.OrderFailed: Status.FAILED,
        # Only where no transaction can land any more: it failed on chain, or was proved dead.
        t.OrderRearmed: Status.WATCHING,
        t.OrderCancelled: Status.CANCELLED,
    },
    Status.CONFIRMED: {},
    Status.FAILED: {},
    Status.EXPIRED: {},
    Status.CANCELLED: {},
}

NEXT: dict[Status | None, dict[type[t.Fact], Status]] = {
    before: {fact: after or before or Status.PENDING for fact, after in row.items()}
    for before, row in _TRANSITIONS.items()
}


def status_after(order: Order | None, fact: t.Fact) -> Status:
    """The status that follows; an event that `NEXT` does not allow leaves it as it was."""
    before = order.status if order is not None and order.version else None
    return NEXT[before].get(type(fact)) or before or Status.PENDING
