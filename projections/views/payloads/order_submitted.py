"""The public view of `OrderSubmitted`."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from events.money import to_tokens
from events.order.order_types import order_type
from events.types import OrderSubmitted
from projections.views.formats import (
    amount,
    min_price,
    swap_mode,
    time_or_none,
    timestamp,
    tokens_or_none,
)
from projections.views.payloads.base import EventView, Payload
from projections.views.schemas import Terms


class OrderSubmittedPayload(Payload, Terms):
    """Adds the terms of the order."""

    request_id: (
        Annotated[
            str,
            Meta(description="X-Request-Id of the accepted request. Absent in older events."),
        ]
        | UnsetType
    ) = UNSET


def _payload(fact: OrderSubmitted) -> OrderSubmittedPayload:
    least = min_price(fact.order_type, fact.target_price)
    return OrderSubmittedPayload(
        type=fact.order_type,
        token_in=fact.token_in,
        token_out=fact.token_out,
        amount=amount(fact),
        swap_mode=swap_mode(fact),
        max_amount_in=tokens_or_none(fact.max_amount_in, fact.decimals_in),
        slippage_bps=fact.slippage_bps,
        min_amount_out=tokens_or_none(fact.min_amount_out, fact.decimals_out),
        expires_at=time_or_none(fact.expires_at_us),
        client_order_id=fact.client_order_id,
        target_price=None if least else fact.target_price or None,
        time_in_force=fact.time_in_force or None,
        min_liquidity=tokens_or_none(fact.min_liquidity, fact.decimals_in),
        max_price=fact.max_price or None,
        min_price=least or None,
        request_id=fact.request_id or UNSET,
    )


def _lines(fact: OrderSubmitted) -> list[str]:
    into, out = fact.token_in, fact.token_out
    parts = [f"{fact.order_type}: {to_tokens(fact.amount_in, fact.decimals_in)} {into} into {out}"]
    if fact.exact_amount_out is not None:
        exactly = to_tokens(fact.exact_amount_out, fact.decimals_out)
        parts = [f"{fact.order_type}: {into} into exactly {exactly} {out}"]
    if fact.max_amount_in is not None:
        parts.append(f"for at most {to_tokens(fact.max_amount_in, fact.decimals_in)} {into}")
    if "slippageBps" in order_type(fact.order_type).fields:
        parts.append(f"slippage {fact.slippage_bps / 100:g} %")
    if fact.min_amount_out is not None:
        parts.append(f"at least {to_tokens(fact.min_amount_out, fact.decimals_out)} {out}")
    if fact.target_price:
        parts.append(f"at {fact.target_price} {out} or more for one {into}")
    if fact.min_liquidity is not None:
        liquidity = to_tokens(fact.min_liquidity, fact.decimals_in)
        parts.append(f"from a liquidity of {liquidity} {into} on")
    if fact.max_price:
        parts.append(f"at most {fact.max_price} {into} for one {out}")
    if fact.time_in_force:
        parts.append(fact.time_in_force)
    if fact.expires_at_us:
        parts.append(f"until {timestamp(fact.expires_at_us)}")
    return [", ".join(parts)]


VIEW = EventView(
    OrderSubmitted,
    OrderSubmittedPayload,
    _payload,
    _lines,
    label="Accepted",
    writer="gateway",
)
