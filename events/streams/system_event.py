"""What an event of the engine switch or of API keys consists of, besides its public payload."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

from events.event import Fact
from events.status import EngineStatus
from events.streams.state import SystemState

F = TypeVar("F", bound=Fact)
S = TypeVar("S", bound=SystemState)


class SystemEvent(NamedTuple, Generic[S, F]):
    """The struct of an event, its transitions and its fold; as `events.order.order_event`."""

    fact: type[F]
    transitions: Mapping[EngineStatus | None, EngineStatus]
    """Status before -> status after; before: None for no event yet."""
    apply: Callable[[S, F, int], None]
    """Writes the event into the state, given its time in µs. It never judges and never raises."""
