"""The payload of `OrderFailed`."""

from __future__ import annotations

from typing import Self

from msgspec import UNSET, UnsetType

from events.reasons import failure
from events.types import OrderFailed
from projections.views.payloads.base import Fee, Payload
from projections.views.schemas import Count, FailureReason


class OrderFailedPayload(Payload):
    """Adds where and why."""

    stage: str
    reason: FailureReason
    attempts: Count
    detail: str
    fee_lamports: Fee | UnsetType = UNSET
    actor: str | UnsetType = UNSET

    @classmethod
    def from_event(cls, fact: OrderFailed) -> Self:
        """See Payload."""
        reason, detail = failure(fact.reason, fact.detail)
        return cls(
            stage=fact.stage,
            reason=reason,
            attempts=fact.attempts,
            detail=detail,
            fee_lamports=fact.fee_lamports or UNSET,
            actor=fact.actor or UNSET,
        )
