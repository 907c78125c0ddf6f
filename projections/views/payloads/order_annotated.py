"""The public view of `OrderAnnotated`."""

from __future__ import annotations

from events.types import OrderAnnotated
from projections.views.payloads.base import EventView, Payload


class OrderAnnotatedPayload(Payload):
    """Adds the note and its author."""

    note: str
    actor: str


def _payload(fact: OrderAnnotated) -> OrderAnnotatedPayload:
    return OrderAnnotatedPayload(note=fact.note, actor=fact.actor)


def _lines(fact: OrderAnnotated) -> list[str]:
    return [f"{fact.note}, by {fact.actor}"]


VIEW = EventView(
    OrderAnnotated,
    OrderAnnotatedPayload,
    _payload,
    _lines,
    label="Annotated",
    writer="gateway",
)
