"""What an event adds to its frame: one struct, which is both the JSON and its schema."""

from __future__ import annotations

from typing import Annotated, Any, Self

from msgspec import Meta

from projections.views.schemas import Shape

Fee = Annotated[int, Meta(ge=0, description="Lamports: network fee of this transaction.")]


class Payload(Shape):
    """Base of all payloads. Signed transaction bytes (`raw`) have a field in none of them."""

    @classmethod
    def from_event(cls, fact: Any) -> Self:
        """The payload of the event."""
        raise NotImplementedError
