"""The public view of `OrderRearmed`."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from events.money import to_tokens
from events.types import OrderRearmed
from projections.views.enums import FailureReason, StageName
from projections.views.formats import fee_clause
from projections.views.payloads.base import EventView, Fee, Payload
from projections.views.schemas import Amount, Count, Quote


class OrderRearmedPayload(Payload):
    """Adds the reason, the best offer, and the first slot whose prices count again.

    Until `pausedUntilSlot`, if present, a price counts only if it left the target or rose since.
    """

    stage: StageName
    reason: FailureReason
    slot: Count
    quotes: list[Quote]
    amount_out: Amount | None
    min_amount_out: Amount
    fee_lamports: Fee | UnsetType = UNSET
    paused_until_slot: (
        Annotated[
            int, Meta(ge=0, description="Until this slot a price that stays does not trigger.")
        ]
        | UnsetType
    ) = UNSET


def _payload(fact: OrderRearmed) -> OrderRearmedPayload:
    offered = fact.amount_out
    return OrderRearmedPayload(
        stage=fact.stage,
        reason=fact.reason,
        slot=fact.slot,
        quotes=[Quote.of(quote, fact.decimals_in, fact.decimals_out) for quote in fact.quotes],
        amount_out=to_tokens(offered, fact.decimals_out) if offered else None,
        min_amount_out=to_tokens(fact.min_amount_out, fact.decimals_out),
        fee_lamports=fact.fee_lamports or UNSET,
        paused_until_slot=fact.paused_until_slot or UNSET,
    )


def _lines(fact: OrderRearmed) -> list[str]:
    best = f"{to_tokens(fact.amount_out, fact.decimals_out)} offered, " if fact.amount_out else ""
    least = to_tokens(fact.min_amount_out, fact.decimals_out)
    cost = fee_clause(fact.fee_lamports)
    waits = f"waits again from slot {fact.slot} on"
    return [f"{fact.stage}: {fact.reason}, {best}{least} required{cost}; {waits}"]


VIEW = EventView(
    OrderRearmed,
    OrderRearmedPayload,
    _payload,
    _lines,
    label="Back to waiting",
)
