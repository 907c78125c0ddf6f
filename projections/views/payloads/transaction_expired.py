"""The payload of `TransactionExpired`."""

from __future__ import annotations

from typing import Annotated, Self

from msgspec import UNSET, Meta, UnsetType

from events.types import TransactionExpired
from projections.views.payloads.base import Payload
from projections.views.schemas import Count


class TransactionExpiredPayload(Payload):
    """Adds the proof."""

    signature: str
    attempt: Count
    last_valid_height: Count
    finalized_height: Count
    handed_over: (
        Annotated[bool, Meta(description="False: no node took it; no attempt is spent.")]
        | UnsetType
    ) = UNSET

    @classmethod
    def from_event(cls, fact: TransactionExpired) -> Self:
        """See Payload."""
        return cls(
            signature=fact.signature,
            attempt=fact.attempt,
            last_valid_height=fact.last_valid_height,
            finalized_height=fact.finalized_height,
            handed_over=UNSET if fact.handed_over else False,
        )
