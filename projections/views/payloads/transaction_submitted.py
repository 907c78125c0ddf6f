"""The payload of `TransactionSubmitted`."""

from __future__ import annotations

from typing import Self

from events.types import TransactionSubmitted
from projections.views.payloads.base import Payload
from projections.views.schemas import Count


class TransactionSubmittedPayload(Payload):
    """Adds what is about to be sent."""

    signature: str
    attempt: Count

    @classmethod
    def from_event(cls, fact: TransactionSubmitted) -> Self:
        """See Payload."""
        return cls(signature=fact.signature, attempt=fact.attempt)
