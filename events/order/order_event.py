"""What an event of an order consists of, besides its public payload."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

from events.event import Fact
from events.order.state import Order
from events.status import Status

F = TypeVar("F", bound=Fact)


class OrderEvent(NamedTuple, Generic[F]):
    """The struct of an event, its transitions and its fold."""

    fact: type[F]
    transitions: Mapping[Status | None, Status | None]
    """Status before -> status after; before: None for no order yet; after: None for unchanged."""
    apply: Callable[[Order, F, int], None]
    """Writes the event into the order, given its time in µs. It never judges and never raises."""


def unchanged(_: Order, __: Fact, ___: int) -> None:
    """The fold of an event that changes the status at most."""
