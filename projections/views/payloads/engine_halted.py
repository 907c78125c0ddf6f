"""The public view of `EngineHalted`."""

from __future__ import annotations

from events.types import EngineHalted
from projections.views.payloads.base import EventView, Payload


class EngineHaltedPayload(Payload):
    """Adds the reason and the operator."""

    reason: str
    actor: str


def _payload(fact: EngineHalted) -> EngineHaltedPayload:
    return EngineHaltedPayload(reason=fact.reason, actor=fact.actor)


def _lines(fact: EngineHalted) -> list[str]:
    return [f"{fact.reason}, by {fact.actor}" if fact.reason else f"by {fact.actor}"]


VIEW = EventView(
    EngineHalted,
    EngineHaltedPayload,
    _payload,
    _lines,
    label="Engine halted",
)
