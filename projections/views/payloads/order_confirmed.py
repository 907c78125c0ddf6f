"""The public view of `OrderConfirmed`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from events import quote as recorded
from events.money import to_tokens
from events.types import OrderConfirmed
from projections.views.formats import fee_clause, signed_tokens
from projections.views.payloads.base import EventView, Fee, Payload
from projections.views.schemas import Amount, Count, Fill, Leftover, Price, Rent


class OrderConfirmedPayload(Payload):
    """Adds the executed amounts, the price and the costs."""

    tx_hash: str
    executed_price: Price
    amount_out: Amount
    slot: Count
    amount_in: Amount | UnsetType = UNSET
    fee_lamports: Fee | UnsetType = UNSET
    rent_lamports: Rent | UnsetType = UNSET
    fills: list[Fill] | UnsetType = UNSET
    leftovers: list[Leftover] | UnsetType = UNSET
    explorer_url: (
        Annotated[str, Meta(description="Link to an explorer of the cluster.")] | UnsetType
    ) = UNSET
    """Depends on the chain that is traded on: see `projections.views.orders`."""


def _payload(fact: OrderConfirmed) -> OrderConfirmedPayload:
    return OrderConfirmedPayload(
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


def _lines(fact: OrderConfirmed) -> list[str]:
    out = to_tokens(fact.amount_out, fact.decimals_out)
    paid = f" for {to_tokens(fact.amount_in, fact.decimals_in)}" if fact.amount_in else ""
    text = f"received {out}{paid} at price {fact.executed_price} in slot {fact.slot}"
    text += fee_clause(fact.fee_lamports)
    if fact.rent_lamports:
        text += f", {fact.rent_lamports} laid down for token accounts"
    return [text, *_fills(fact.fills)]


def _fills(fills: Sequence[recorded.Fill]) -> list[str]:
    lines = []
    for fill in fills:
        if fill.amount_in:
            paid = f"{to_tokens(fill.amount_in, fill.decimals_in)} {fill.token_in}"
            out = f"{to_tokens(fill.amount_out, fill.decimals_out)} {fill.token_out}"
            lines.append(f"pool {fill.pool}: {paid} in, {out} out")
        if fill.leftover:
            left = signed_tokens(fill.leftover, fill.decimals_out)
            lines.append(f"the wallet keeps {left} {fill.token_out} between the swaps")
    return lines


VIEW = EventView(
    OrderConfirmed,
    OrderConfirmedPayload,
    _payload,
    _lines,
    label="Confirmed",
    writer="confirmer",
)
