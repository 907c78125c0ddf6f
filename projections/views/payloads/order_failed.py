"""The public view of `OrderFailed`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from events.reasons import failure
from events.types import OrderFailed
from projections.views.enums import FailureReason, StageName
from projections.views.formats import attempts_clause, fee_clause
from projections.views.payloads.base import EventView, Fee, Payload
from projections.views.schemas import Count


class OrderFailedPayload(Payload):
    """Adds the stage and the reason."""

    stage: StageName
    reason: FailureReason
    attempts: Count
    detail: str
    fee_lamports: Fee | UnsetType = UNSET
    actor: str | UnsetType = UNSET


def _payload(fact: OrderFailed) -> OrderFailedPayload:
    reason, detail = failure(fact.reason, fact.detail)
    return OrderFailedPayload(
        stage=fact.stage,
        reason=reason,
        attempts=fact.attempts,
        detail=detail,
        fee_lamports=fact.fee_lamports or UNSET,
        actor=fact.actor or UNSET,
    )


def _lines(fact: OrderFailed) -> list[str]:
    text = f"{fact.stage}: {fact.reason}{attempts_clause(fact.attempts)}"
    text += f" ({fact.detail})" if fact.detail else ""
    text += fee_clause(fact.fee_lamports)
    text += f", by {fact.actor}" if fact.actor else ""
    return [text]


VIEW = EventView(
    OrderFailed,
    OrderFailedPayload,
    _payload,
    _lines,
    label="Failed",
)
