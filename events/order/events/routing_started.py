"""The event `RoutingStarted`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent, unchanged
from events.status import Status


class RoutingStarted(Fact, frozen=True, array_like=True, tag=True):
    """The venues are being asked for quotes."""


EVENT = OrderEvent(
    RoutingStarted,
    transitions={Status.PENDING: Status.ROUTING},
    apply=unchanged,
)
