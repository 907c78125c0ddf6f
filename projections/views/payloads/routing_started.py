"""The public view of `RoutingStarted`."""

from __future__ import annotations

from events.types import RoutingStarted
from projections.views.payloads.base import EventView, Payload, no_lines


class RoutingStartedPayload(Payload):
    """Adds nothing."""


def _payload(_: RoutingStarted) -> RoutingStartedPayload:
    return RoutingStartedPayload()


VIEW = EventView(
    RoutingStarted,
    RoutingStartedPayload,
    _payload,
    no_lines,
    label="Routing",
    writer="router",
)
