"""The payload of `RoutingStarted`."""

from __future__ import annotations

from typing import Self

from events.types import RoutingStarted
from projections.views.payloads.base import Payload


class RoutingStartedPayload(Payload):
    """Adds nothing."""

    @classmethod
    def from_event(cls, fact: RoutingStarted) -> Self:
        """See Payload."""
        del fact
        return cls()
