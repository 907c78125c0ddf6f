"""The public view of `OrderExpired`."""

from __future__ import annotations

from events.types import OrderExpired
from projections.views.enums import FailureReason, StageName
from projections.views.formats import attempts_clause
from projections.views.payloads.base import EventView, Payload
from projections.views.schemas import Count


class OrderExpiredPayload(Payload):
    """Adds the stage and the reason."""

    stage: StageName
    reason: FailureReason
    attempts: Count


def _payload(fact: OrderExpired) -> OrderExpiredPayload:
    return OrderExpiredPayload(stage=fact.stage, reason=fact.reason, attempts=fact.attempts)


def _lines(fact: OrderExpired) -> list[str]:
    return [f"{fact.stage}: {fact.reason}{attempts_clause(fact.attempts)}"]


VIEW = EventView(
    OrderExpired,
    OrderExpiredPayload,
    _payload,
    _lines,
    label="Expired",
    writer="watcher",
)
