"""The requests as types; the gateway validates them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec

Json = dict[str, Any]
"""A JSON object."""

Whole = str | int | Decimal
"""Whole tokens: exact, so no float."""


class NewOrder(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True):
    """An order to be submitted; docs/reference/http-api.md lists the fields of each type."""

    token_in: str
    token_out: str
    amount: Whole
    """Of token_in, or of token_out with swap_mode exactOut."""
    type: Literal["market", "limit", "sniper"] = "market"
    swap_mode: Literal["exactIn", "exactOut"] = "exactIn"
    max_amount_in: Whole | None = None
    slippage_bps: int | None = None
    min_amount_out: Whole | None = None
    target_price: Whole | None = None
    min_liquidity: Whole | None = None
    max_price: Whole | None = None
    time_in_force: Literal["GTC", "GTT", "IOC", "FOK"] | None = None
    expires_at: str | int | None = None
    """ISO 8601 with a zone, or Unix ms."""
    client_order_id: str | None = None


class Filters(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True):
    """Which orders are meant; None is any."""

    status: str | None = None
    token: str | None = None
    client_order_id: str | None = None

    def params(self) -> dict[str, str]:
        """As query parameters."""
        fields: dict[str, str] = msgspec.to_builtins(self)
        return fields
