"""Money: whole-token decimals outside, integer base units inside; no float anywhere.

Rule of this file: pure and exact. What cannot be represented is an error, never a rounding; only
prices are rounded, always down.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_DOWN, Context, Decimal, InvalidOperation

import msgspec

U64_MAX = 2**64 - 1
"""The largest amount, in base units."""

PRICE_DIGITS = 12
"""Significant digits of a price."""

_EXACT = Context(prec=100)
_PRICE = Context(prec=PRICE_DIGITS, rounding=ROUND_DOWN)


class AmountError(ValueError):
    """An amount that cannot be taken. `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Token(msgspec.Struct, frozen=True):
    """A token that orders may name."""

    symbol: str
    decimals: int
    mint: str = ""


def by_name(tokens: Iterable[Token]) -> dict[str, Token]:
    """Tokens by symbol and by mint."""
    named = list(tokens)
    return {t.symbol: t for t in named} | {t.mint: t for t in named if t.mint}


def to_base_units(amount: Decimal | str, decimals: int) -> int:
    """`"1.5"` of a token with 9 decimals is 1_500_000_000. Raises AmountError."""
    value = _positive(amount, "amount")
    if value.adjusted() > 20:  # more than any u64; also keeps scaleb from building huge integers
        raise AmountError("amount-too-large", "the amount exceeds what a u64 of base units holds")
    scaled = value.scaleb(decimals, _EXACT)
    units = int(scaled)
    # The second of these because scaleb makes 0 of 1e-2000000.
    if units != scaled or value.adjusted() < -decimals:
        raise AmountError("too-many-decimals", f"the token has {decimals} decimals")
    if units > U64_MAX:
        raise AmountError("amount-too-large", "the amount exceeds what a u64 of base units holds")
    return units


def _positive(text: Decimal | str, what: str) -> Decimal:
    """The number, exactly. Raises AmountError with a code of `what`."""
    try:
        value = Decimal(text, _EXACT) if isinstance(text, str) else text
    except InvalidOperation:
        raise AmountError(f"{what}-malformed", f"{text!r} is not a decimal number") from None
    if not value.is_finite():
        raise AmountError(f"{what}-malformed", f"{text} is not a finite number")
    if value <= 0:
        raise AmountError(f"{what}-not-positive", f"the {what} must be greater than zero")
    return value


def _decimals(value: Decimal) -> int:
    """How many decimals it takes to write a finite number."""
    return max(0, -int(value.normalize(_EXACT).as_tuple().exponent))


def to_tokens(units: int, decimals: int) -> str:
    """The whole-token decimal string of base units, without trailing zeros."""
    if not decimals:
        return str(units)
    digits = str(units).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}".rstrip("0").rstrip(".")


def price(amount_out: int, decimals_out: int, amount_in: int, decimals_in: int) -> str:
    """amount_out / amount_in in whole tokens, rounded down to PRICE_DIGITS significant digits."""
    if not amount_in:
        return "0"
    ratio = _PRICE.divide(Decimal(amount_out), Decimal(amount_in))
    text = f"{ratio.scaleb(decimals_in - decimals_out, _EXACT):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def min_amount_out(amount_out: int, slippage_bps: int) -> int:
    """The least acceptable output: floor(out * (10000 - bps) / 10000), at least 1."""
    return max(1, amount_out * (10_000 - slippage_bps) // 10_000)


def max_amount_in(amount_in: int, slippage_bps: int) -> int:
    """The greatest acceptable input: ceil(in * (10000 + bps) / 10000)."""
    return -(-amount_in * (10_000 + slippage_bps) // 10_000)


# ---------------------------------------------------------------------------------------------
# Prices that orders wait for: compared as integers, so that equal is equal.

PRICE_PLACES = 24
"""Decimals of a price that counts; the dearest token in the cheapest has fewer."""
_PRICE_WHOLE_DIGITS = 24


def to_price(text: Decimal | str) -> str:
    """A price in its one plain form: `"1.50e2"` is `"150"`. Raises AmountError."""
    value = _positive(text, "price")
    if value.adjusted() >= _PRICE_WHOLE_DIGITS or value.adjusted() < -PRICE_PLACES:
        raise AmountError("price-out-of-range", f"10^-{PRICE_PLACES} to 10^{_PRICE_WHOLE_DIGITS}")
    if _decimals(value) > PRICE_PLACES:
        raise AmountError("too-many-decimals", f"a price has {PRICE_PLACES} decimals at most")
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def price_units(price: str) -> int:
    """A price as `to_price` or `price` write it, in units of 10^-24: exact."""
    whole, _, places = price.partition(".")
    return int(whole + places.ljust(PRICE_PLACES, "0")[:PRICE_PLACES])


def amount_at(amount_in: int, decimals_in: int, units: int, decimals_out: int) -> int:
    """The least amount_out that pays a price of `units` for amount_in: rounded up, at least 1."""
    scale: int = 10 ** (PRICE_PLACES + decimals_in)
    return max(1, -(-amount_in * units * int(10**decimals_out) // scale))


def amount_for(amount_in: int, decimals_in: int, units: int, decimals_out: int) -> int:
    """The least amount_out where at most `units` of token_in are paid a token_out: rounded up."""
    scale: int = 10 ** (PRICE_PLACES + decimals_out)
    return max(1, -(-amount_in * scale // (units * int(10**decimals_in))))
