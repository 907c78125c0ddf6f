"""The public view of `TransactionExpired`."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from events.types import TransactionExpired
from projections.views.payloads.base import EventView, Payload
from projections.views.schemas import Count


class TransactionExpiredPayload(Payload):
    """Adds the proof that the transaction is dead."""

    signature: str
    attempt: Count
    last_valid_height: Count
    finalized_height: Count
    handed_over: (
        Annotated[bool, Meta(description="False: no node took it; no attempt is spent.")]
        | UnsetType
    ) = UNSET


def _payload(fact: TransactionExpired) -> TransactionExpiredPayload:
    return TransactionExpiredPayload(
        signature=fact.signature,
        attempt=fact.attempt,
        last_valid_height=fact.last_valid_height,
        finalized_height=fact.finalized_height,
        handed_over=UNSET if fact.handed_over else False,
    )


def _lines(fact: TransactionExpired) -> list[str]:
    proof = f"finalized height {fact.finalized_height} is past {fact.last_valid_height}"
    untaken = "" if fact.handed_over else "; no node took it, so no attempt is spent"
    return [f"attempt {fact.attempt} can land no more: {proof} and it is not there{untaken}"]


VIEW = EventView(
    TransactionExpired,
    TransactionExpiredPayload,
    _payload,
    _lines,
    label="Transaction dead",
    writer="confirmer",
)
