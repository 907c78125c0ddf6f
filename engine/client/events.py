"""An event as a client gets it: what all have, and what its step adds, typed."""

from __future__ import annotations

from typing import Any

import msgspec

from events.types import FACTS
from projections.views.event_schemas import Frame
from projections.views.payloads import PAYLOADS, Payload
from projections.views.schemas import Shape


class Event(msgspec.Struct, frozen=True):
    """Something that happened to an order."""

    frame: Frame
    """order_id, status, event, version, position, cursor, timestamp …"""
    adds: Shape
    """Of `payloads.PAYLOADS`, by the event's name; without fields for one that this build
    does not know."""
    raw: dict[str, Any]
    """As it came."""

    @property
    def order_id(self) -> str:
        """The order."""
        return self.frame.order_id

    @property
    def name(self) -> str:
        """Such as `OrderConfirmed`."""
        return self.frame.event

    @property
    def status(self) -> str:
        """The order's status after it."""
        return self.frame.status


def event_of(raw: dict[str, Any]) -> Event:
    """From a frame's JSON; what is not known in it is skipped. Raises msgspec.ValidationError."""
    kind = FACTS.get(str(raw.get("event")))
    adds = PAYLOADS[kind] if kind is not None else Payload
    return Event(
        msgspec.convert(raw, Frame, strict=False), msgspec.convert(raw, adds, strict=False), raw
    )
