"""The public formats of times, amounts and shares. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from events.money import to_tokens
from events.order import Order
from events.order.order_types import order_type as order_type_of
from events.types import OrderSubmitted

LAST_US = 253_402_300_799_999_999
"""The end of the year 9999, where ISO 8601 ends."""


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def timestamp(time_us: int) -> str:
    """`2026-11-22T15:28:01.000123Z`. What lies beyond the year 9999 is shown as its end: one time
    that cannot be written must not hide an order, or end a feed.
    """
    seconds, us = divmod(min(time_us, LAST_US), 1_000_000)
    return f"{_second(seconds)}.{us:06d}Z"


def time_or_none(time_us: int | None) -> str | None:
    """The timestamp; None for no time."""
    return timestamp(time_us) if time_us else None


def tokens_or_none(units: int | None, decimals: int) -> str | None:
    """Base units as whole tokens; None for no amount."""
    return None if units is None else to_tokens(units, decimals)


def signed_tokens(units: int, decimals: int) -> str:
    """Base units as whole tokens, with a sign where they are negative."""
    return "-" * (units < 0) + to_tokens(abs(units), decimals)


def amount(of: Order | OrderSubmitted) -> str:
    """The exact side of the swap, in whole tokens: of token_in, or of token_out for exactOut."""
    if of.exact_amount_out is not None:
        return to_tokens(of.exact_amount_out, of.decimals_out)
    return to_tokens(of.amount_in, of.decimals_in)


def swap_mode(of: Order | OrderSubmitted) -> str:
    """Which side of the swap is exact."""
    return "exactIn" if of.exact_amount_out is None else "exactOut"


def min_price(order_type: str, target_price: str) -> str:
    """The least price of a sniper, which is stored as a target price; empty for other types."""
    return target_price if "minPrice" in order_type_of(order_type).fields else ""


def requested_token(of: Order) -> str:
    """The symbol of the token that `amount` counts."""
    return of.token_in if of.exact_amount_out is None else of.token_out


def bps(ppm: int) -> str:
    """Millionths as basis points, exact."""
    return to_tokens(ppm, 2)


def attempts_clause(attempts: int) -> str:
    """The number of attempts as the end of a sentence."""
    return f" after {attempts} attempt" if attempts == 1 else f" after {attempts} attempts"


def fee_clause(fee_lamports: int) -> str:
    """The network fee as the end of a sentence; empty for none."""
    return f", network fee {fee_lamports} lamports" if fee_lamports else ""
