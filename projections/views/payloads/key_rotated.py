"""The public view of `KeyRotated`."""

from __future__ import annotations

from events.types import KeyRotated
from projections.views.formats import time_or_none
from projections.views.payloads.base import EventView, Payload
from projections.views.schemas import Time


class KeyRotatedPayload(Payload):
    """Adds the time until which the previous secret is valid."""

    key_id: str
    old_until: Time | None
    actor: str


def _payload(fact: KeyRotated) -> KeyRotatedPayload:
    return KeyRotatedPayload(
        key_id=fact.key_id,
        old_until=time_or_none(fact.old_until_us),
        actor=fact.actor,
    )


def _lines(fact: KeyRotated) -> list[str]:
    return [f"{fact.key_id}, by {fact.actor}"]


VIEW = EventView(
    KeyRotated,
    KeyRotatedPayload,
    _payload,
    _lines,
    label="Key rotated",
)
