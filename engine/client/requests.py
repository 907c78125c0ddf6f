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
    """Of a sniper: most token_in for one token_out; or, the other way round, `min_price`."""
    min_price: Whole | None = None
    time_in_force: Literal["GTC", "GTT", "IOC", "FOK"] | None = None
    expires_at: str | int | None = None
    """ISO 8601 with a zone, or Unix ms."""
    client_order_id: str | None = None


class Filters(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True):
    """Which orders are meant; None is any."""

    status: str | None = None
    """One status, or several separated by commas."""
    type: str | None = None
    """One type, or several separated by commas."""
    token: str | None = None
    client_order_id: str | None = None
    open: bool | None = None
    """Whether they have not ended; for lists only, because only open orders can be cancelled."""
    parked: bool | None = None
    in_doubt: bool | None = None
    created_from: str | int | None = msgspec.field(default=None, name="from")
    """Created at or after: ISO 8601 with a zone, or Unix ms; for lists only."""
    created_to: str | int | None = msgspec.field(default=None, name="to")
    """Created before; for lists only."""
    sort: Literal["newest", "oldest"] | None = None
    """Which come first; for lists only."""

    def params(self) -> dict[str, str]:
        """As query parameters."""
        fields: dict[str, str | int | bool] = msgspec.to_builtins(self)
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in fields.items()
        }
