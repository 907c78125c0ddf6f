"""The parts of an event's public view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Generic, NamedTuple, TypeVar

from msgspec import Meta

from events.types import Fact
from projections.views.schemas import Shape

Fee = Annotated[int, Meta(ge=0, description="Lamports: network fee of this transaction.")]

F = TypeVar("F", bound=Fact)


class Payload(Shape):
    """Base of all payloads: what an event adds to its frame, as JSON and as schema.

    None has a field for the bytes of a signed transaction (`raw`).
    """


class EventView(NamedTuple, Generic[F]):
    """How an event is shown."""

    fact: type[F]
    payload: type[Payload]
    payload_of: Callable[[F], Payload]
    """Makes the payload. Its type is `payload`, so that frames and schemas cannot differ."""
    lines: Callable[[F], list[str]]
    """Its summary in the timeline of `engine audit show`, without indent; may be empty."""
    label: str
    """Its heading in the console."""
    writer: str = ""
    """The service that writes the event; empty where the event names it, or several write it."""


def no_lines(_: Fact) -> list[str]:
    """Returns the empty summary, for an event whose name says everything."""
    return []
