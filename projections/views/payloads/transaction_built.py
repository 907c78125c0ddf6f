"""The payload of `TransactionBuilt`."""

from __future__ import annotations

from typing import Self

from events.types import TransactionBuilt
from projections.views.payloads.base import Payload
from projections.views.schemas import Count


class TransactionBuiltPayload(Payload):
    """Adds the signed transaction's signature and until when it can land."""

    signature: str
    last_valid_height: Count
    attempt: Count

    @classmethod
    def from_event(cls, fact: TransactionBuilt) -> Self:
        """See Payload."""
        return cls(
            signature=fact.signature,
            last_valid_height=fact.last_valid_height,
            attempt=fact.attempt,
        )
