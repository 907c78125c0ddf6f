"""The payload of `OrderConfirmed`."""

from __future__ import annotations

from typing import Annotated, Self

from msgspec import UNSET, Meta, UnsetType

from events.money import to_tokens
from events.types import OrderConfirmed
from projections.views.payloads.base import Fee, Payload
from projections.views.schemas import Amount, Count, Fill, Leftover, Price, Rent


class OrderConfirmedPayload(Payload):
    """Adds what was executed, and what it cost."""

    tx_hash: str
    executed_price: Price
    amount_out: Amount
    slot: Count
    amount_in: Amount | UnsetType = UNSET
    fee_lamports: Fee | UnsetType = UNSET
    rent_lamports: Rent | UnsetType = UNSET
    fills: list[Fill] | UnsetType = UNSET
    leftovers: list[Leftover] | UnsetType = UNSET
    explorer_url: Annotated[str, Meta(description="For people.")] | UnsetType = UNSET
    """Depends on the chain that is traded on: see `projections.views.orders`."""

    @classmethod
    def from_event(cls, fact: OrderConfirmed) -> Self:
        """See Payload."""
        return cls(
            tx_hash=fact.signature,
            executed_price=fact.executed_price,
            amount_out=to_tokens(fact.amount_out, fact.decimals_out),
            slot=fact.slot,
            amount_in=to_tokens(fact.amount_in, fact.decimals_in) if fact.amount_in else UNSET,
            fee_lamports=fact.fee_lamports or UNSET,
            rent_lamports=fact.rent_lamports or UNSET,
            fills=[Fill.of(fill) for fill in fact.fills] if fact.fills else UNSET,
            leftovers=Leftover.all_of(fact.fills) if fact.fills else UNSET,
        )
