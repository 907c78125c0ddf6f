"""The payload of `AttemptFailed`."""

from __future__ import annotations

from typing import Self

from events.types import AttemptFailed
from projections.views.formats import time_or_none
from projections.views.payloads.base import Payload
from projections.views.schemas import Count, FailureReason, Time


class AttemptFailedPayload(Payload):
    """Adds what went wrong, and when it is tried again."""

    stage: str
    attempt: Count
    error: FailureReason
    detail: str
    next_attempt_at: Time | None

    @classmethod
    def from_event(cls, fact: AttemptFailed) -> Self:
        """See Payload."""
        return cls(
            stage=fact.stage,
            attempt=fact.attempt,
            error=fact.error,
            detail=fact.detail,
            next_attempt_at=time_or_none(fact.next_attempt_at_us),
        )
