"""The payload of `OrderSubmitted`."""

from __future__ import annotations

from typing import Self

from events.types import OrderSubmitted
from projections.views.formats import amount, swap_mode, time_or_none, tokens_or_none
from projections.views.payloads.base import Payload
from projections.views.schemas import Terms


class OrderSubmittedPayload(Payload, Terms):
    """Adds what was asked for."""

    @classmethod
    def from_event(cls, fact: OrderSubmitted) -> Self:
        """See Payload."""
        return cls(
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
            target_price=fact.target_price or None,
            time_in_force=fact.time_in_force or None,
            min_liquidity=tokens_or_none(fact.min_liquidity, fact.decimals_in),
            max_price=fact.max_price or None,
        )
