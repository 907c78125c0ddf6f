"""The payload of `TransactionInDoubt`."""

from __future__ import annotations

from typing import Annotated, Self

from msgspec import UNSET, Meta, UnsetType

from events.types import TransactionInDoubt
from projections.views.payloads.base import Payload
from projections.views.schemas import FailureReason


class TransactionInDoubtPayload(Payload):
    """Adds why the outcome is not known."""

    in_doubt: bool
    signature: str
    reason: FailureReason
    detail: Annotated[str, Meta(description="What is missing, in words.")] | UnsetType = UNSET

    @classmethod
    def from_event(cls, fact: TransactionInDoubt) -> Self:
        """See Payload."""
        return cls(
            in_doubt=True,
            signature=fact.signature,
            reason=fact.reason,
            detail=fact.detail or UNSET,
        )
