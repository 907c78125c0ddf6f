"""The public view of `TransactionInDoubt`."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from events.types import TransactionInDoubt
from projections.views.enums import FailureReason
from projections.views.payloads.base import EventView, Payload


class TransactionInDoubtPayload(Payload):
    """Adds the reason why the outcome is unknown."""

    in_doubt: bool
    signature: str
    reason: FailureReason
    detail: Annotated[str, Meta(description="What is missing.")] | UnsetType = UNSET


def _payload(fact: TransactionInDoubt) -> TransactionInDoubtPayload:
    return TransactionInDoubtPayload(
        in_doubt=True,
        signature=fact.signature,
        reason=fact.reason,
        detail=fact.detail or UNSET,
    )


def _lines(fact: TransactionInDoubt) -> list[str]:
    return [f"unknown yet: {fact.reason}" + (f" ({fact.detail})" if fact.detail else "")]


VIEW = EventView(
    TransactionInDoubt,
    TransactionInDoubtPayload,
    _payload,
    _lines,
    label="In doubt",
    writer="confirmer",
)
