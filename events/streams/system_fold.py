"""The transitions and the fold of the engine switch and of API keys.

Rule of this file: pure, and without validation, as `events.order.fold`: an event of another stream
leaves the state unchanged, and the audit reports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from events.event import Envelope, Fact
from events.status import EngineStatus
from events.streams.events import ENGINE_EVENTS, KEY_EVENTS
from events.streams.state import EngineState, KeyRing
from events.streams.system_event import SystemEvent

Transitions = dict[EngineStatus | None, dict[type[Fact], EngineStatus]]
Appliers = dict[type[Fact], Callable[[Any, Any, int], None]]


def _next(events: Iterable[SystemEvent[Any, Any]]) -> Transitions:
    events = tuple(events)
    return {
        before: {
            event.fact: event.transitions[before] for event in events if before in event.transitions
        }
        for before in (None, *EngineStatus)
    }


ENGINE_NEXT = _next(ENGINE_EVENTS)
"""The transitions of the engine switch: status -> event -> next status."""

KEYS_NEXT = _next(KEY_EVENTS)
"""The transitions of API keys."""

_ENGINE_APPLIERS: Appliers = {event.fact: event.apply for event in ENGINE_EVENTS}
_KEY_APPLIERS: Appliers = {event.fact: event.apply for event in KEY_EVENTS}


def status_after(state: EngineState | KeyRing, fact: Fact) -> EngineStatus:
    """The status after a fact; a fact that may not follow leaves it unchanged."""
    rows = ENGINE_NEXT if isinstance(state, EngineState) else KEYS_NEXT
    return rows[state.status if state.version else None].get(type(fact), state.status)


def advance(state: EngineState | KeyRing, event: Envelope) -> None:
    """Applies an event to a state in place."""
    appliers = _ENGINE_APPLIERS if isinstance(state, EngineState) else _KEY_APPLIERS
    apply = appliers.get(type(event.fact))
    if apply is not None:
        apply(state, event.fact, event.time_us)
    state.version = event.version
    state.updated_at_us = event.time_us
    state.created_at_us = state.created_at_us or event.time_us
