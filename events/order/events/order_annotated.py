"""The event `OrderAnnotated`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent, unchanged
from events.status import OPEN


class OrderAnnotated(Fact, frozen=True, array_like=True, tag=True):
    """A person wrote a note on an open order."""

    note: str
    actor: str


EVENT = OrderEvent(
    OrderAnnotated,
    transitions=dict.fromkeys(OPEN),
    apply=unchanged,
)
