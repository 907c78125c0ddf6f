"""The transitions of an order: status -> event -> status after it. `None` is "no order yet".

Pure: a table, made of the transitions that stand with each event in `events.order.events`. The
fold, the audit and the tests share it; docs/reference/events.md prints it.
"""

from __future__ import annotations

from events.event import Fact
from events.order.events import ORDER_EVENTS
from events.order.state import Order
from events.status import TERMINAL, Status

NEXT: dict[Status | None, dict[type[Fact], Status]] = {
    before: {
        event.fact: event.transitions[before] or before or Status.PENDING
        for event in ORDER_EVENTS
        if before in event.transitions
    }
    for before in (None, *Status)
}

assert not any(NEXT[status] for status in TERMINAL), "nothing follows the end of an order"


def status_after(order: Order | None, fact: Fact) -> Status:
    """The status that follows; an event that `NEXT` does not allow leaves it unchanged."""
    before = order.status if order is not None and order.version else None
    return NEXT[before].get(type(fact)) or before or Status.PENDING
