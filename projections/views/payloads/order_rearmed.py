"""The payload of `OrderRearmed`."""

from __future__ import annotations

from typing import Annotated, Self

from msgspec import UNSET, Meta, UnsetType

from events.money import to_tokens
from events.types import OrderRearmed
from projections.views.payloads.base import Fee, Payload
from projections.views.schemas import Amount, Count, FailureReason, Quote


class OrderRearmedPayload(Payload):
    """Adds why, what was offered, and from which slot on prices count again.

    Until `pausedUntilSlot`, where it is there, a price that neither left nor rose since does not.
    """

    stage: str
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

    @classmethod
    def from_event(cls, fact: OrderRearmed) -> Self:
        """See Payload."""
        offered = fact.amount_out
        return cls(
            stage=fact.stage,
            reason=fact.reason,
            slot=fact.slot,
            quotes=[Quote.of(quote, fact.decimals_in, fact.decimals_out) for quote in fact.quotes],
            amount_out=to_tokens(offered, fact.decimals_out) if offered else None,
            min_amount_out=to_tokens(fact.min_amount_out, fact.decimals_out),
            fee_lamports=fact.fee_lamports or UNSET,
            paused_until_slot=fact.paused_until_slot or UNSET,
        )
