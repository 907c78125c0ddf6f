"""The event `AttemptFailed`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order
from events.status import OPEN


class AttemptFailed(Fact, frozen=True, array_like=True, tag=True):
    """A venue refused or did not answer before the send; the order is tried again."""

    stage: str
    attempt: int
    error: str
    detail: str
    next_attempt_at_us: int


def _apply(order: Order, fact: AttemptFailed, _: int) -> None:
    # A failure that spends no attempt is an outage of the nodes.
    order.outages = order.outages + 1 if fact.attempt == order.attempts else 0
    order.attempts = fact.attempt
    order.next_attempt_at_us = fact.next_attempt_at_us
    order.stale_route = order.stale_route or fact.stage == "builder"


EVENT = OrderEvent(
    AttemptFailed,
    transitions=dict.fromkeys(OPEN),
    apply=_apply,
)
