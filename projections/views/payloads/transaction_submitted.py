"""The public view of `TransactionSubmitted`."""

from __future__ import annotations

from events.types import TransactionSubmitted
from projections.views.payloads.base import EventView, Payload
from projections.views.schemas import Count


class TransactionSubmittedPayload(Payload):
    """Adds the attempt and the signature of the transaction that is sent next."""

    signature: str
    attempt: Count


def _payload(fact: TransactionSubmitted) -> TransactionSubmittedPayload:
    return TransactionSubmittedPayload(signature=fact.signature, attempt=fact.attempt)


def _lines(fact: TransactionSubmitted) -> list[str]:
    return [f"attempt {fact.attempt}: from here on it may land"]


VIEW = EventView(
    TransactionSubmitted,
    TransactionSubmittedPayload,
    _payload,
    _lines,
    label="Sent",
    writer="submitter",
)
