"""The public view of `EngineResumed`."""

from __future__ import annotations

from events.types import EngineResumed
from projections.views.payloads.base import EventView, Payload


class EngineResumedPayload(Payload):
    """Adds the reason and the operator."""

    reason: str
    actor: str


def _payload(fact: EngineResumed) -> EngineResumedPayload:
    return EngineResumedPayload(reason=fact.reason, actor=fact.actor)


def _lines(fact: EngineResumed) -> list[str]:
    return [f"{fact.reason}, by {fact.actor}" if fact.reason else f"by {fact.actor}"]


VIEW = EventView(
    EngineResumed,
    EngineResumedPayload,
    _payload,
    _lines,
    label="Engine resumed",
)
