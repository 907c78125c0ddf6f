"""The public view of `AttemptFailed`."""

from __future__ import annotations

from events.types import AttemptFailed
from projections.views.enums import FailureReason, StageName
from projections.views.formats import time_or_none, timestamp
from projections.views.payloads.base import EventView, Payload
from projections.views.schemas import Count, Time


class AttemptFailedPayload(Payload):
    """Adds the failure and the time of the next attempt."""

    stage: StageName
    attempt: Count
    error: FailureReason
    detail: str
    next_attempt_at: Time | None


def _payload(fact: AttemptFailed) -> AttemptFailedPayload:
    return AttemptFailedPayload(
        stage=fact.stage,
        attempt=fact.attempt,
        error=fact.error,
        detail=fact.detail,
        next_attempt_at=time_or_none(fact.next_attempt_at_us),
    )


def _lines(fact: AttemptFailed) -> list[str]:
    failure = f"{fact.stage}, attempt {fact.attempt}: {fact.error} {fact.detail}".rstrip()
    return [f"{failure}, again at {timestamp(fact.next_attempt_at_us)}"]


VIEW = EventView(
    AttemptFailed,
    AttemptFailedPayload,
    _payload,
    _lines,
    label="Attempt failed",
)
