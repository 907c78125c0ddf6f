"""The definition of an event of the engine switch or of API keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

from events.event import Fact
from events.status import EngineStatus
from events.streams.state import SystemState

F = TypeVar("F", bound=Fact)
S = TypeVar("S", bound=SystemState)


class SystemEvent(NamedTuple, Generic[S, F]):
    """The struct of an event, its transitions and its fold, as in `events.order.order_event`."""

    fact: type[F]
    transitions: Mapping[EngineStatus | None, EngineStatus]
    """Status before the event (None: no event yet) -> status after it."""
    apply: Callable[[S, F, int], None]
    """Applies the event to the state, given its time in µs. It does not validate or raise."""
