"""The public view of `OrderParked`."""

from __future__ import annotations

from events.types import OrderParked
from projections.views.enums import ParkedCode, StageName
from projections.views.parking import parked_code
from projections.views.payloads.base import EventView, Payload


class OrderParkedPayload(Payload):
    """Adds the stage, the reason and the actor."""

    stage: StageName
    code: ParkedCode
    reason: str
    actor: str


def _payload(fact: OrderParked) -> OrderParkedPayload:
    return OrderParkedPayload(
        stage=fact.stage, code=parked_code(fact.reason), reason=fact.reason, actor=fact.actor
    )


def _lines(fact: OrderParked) -> list[str]:
    return [f"{fact.stage}: {fact.reason}, by {fact.actor}"]


VIEW = EventView(
    OrderParked,
    OrderParkedPayload,
    _payload,
    _lines,
    label="Parked",
)
