"""Events to orders: `evolve`, `advance` and `fold`.

Rule of this file: pure. No clock, no network, no randomness; the same events give the same order
on any machine. An event that `NEXT` does not allow leaves the status unchanged, and the audit
reports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from events.event import Envelope, Fact
from events.order.events import ORDER_EVENTS
from events.order.order_event import unchanged
from events.order.state import Order
from events.order.transitions import NEXT
from events.status import Status

APPLIERS: dict[type[Fact], Callable[[Order, Any, int], None]] = {
    event.fact: event.apply for event in ORDER_EVENTS
}
"""The fold of each event. Events of other streams, which only a damaged log has on an order, change
nothing."""

copied: Callable[[Order], Order] = Order.__copy__  # type: ignore[attr-defined]  # not in its stubs
"""What `copy.copy` comes to, without looking it up: a sixth of the fold."""


def evolve(order: Order | None, event: Envelope) -> Order:
    """The order after `event`; the order given is unchanged. Never raises."""
    after = Order(event.order_id, account=event.account) if order is None else copied(order)
    advance(after, event)
    return after


def advance(order: Order, event: Envelope) -> None:
    """`evolve` in place, for folds that own the order."""
    fact = event.fact
    kind = type(fact)
    before = order.status if order.version else None
    order.version = event.version
    order.updated_at_us = event.time_us
    order.status = NEXT[before].get(kind) or before or Status.PENDING
    APPLIERS.get(kind, unchanged)(order, fact, event.time_us)


def fold(events: Iterable[Envelope], order: Order | None = None) -> Order | None:
    """The order after `events`; None for no events."""
    for event in events:
        order = evolve(order, event)
    return order
