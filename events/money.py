"""Money: decimals of whole tokens outside the engine, integers of base units inside; never floats.

Pure and exact. An amount that base units cannot represent is an error and is never rounded. Prices
are rounded down.
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
    """An amount that is refused. `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Token(msgspec.Struct, frozen=True):
    """A token that orders can trade."""

    symbol: str
    decimals: int
    mint: str = ""


def by_name(tokens: Iterable[Token]) -> dict[str, Token]:
    """Returns the tokens by symbol and by mint."""
    named = list(tokens)
    return {t.symbol: t for t in named} | {t.mint: t for t in named if t.mint}


def to_base_units(amount: Decimal | str, decimals: int) -> int:
    """Returns whole tokens in base units: `"1.5"` with 9 decimals is 1_500_000_000.

    Raises AmountError.
    """
    value = _positive(amount, "amount")
    if value.adjusted() > 20:  # more than any u64; also keeps scaleb from building huge integers
        raise AmountError("amount-too-large", "the amount exceeds what a u64 of base units holds")
    scaled = value.scaleb(decimals, _EXACT)
    units = int(scaled)
    # The second condition, because scaleb turns 1e-2000000 into 0.
    if units != scaled or value.adjusted() < -decimals:
        raise AmountError("too-many-decimals", f"the token has {decimals} decimals")
    if units > U64_MAX:
        raise AmountError("amount-too-large", "the amount exceeds what a u64 of base units holds")
    return units


def _positive(text: Decimal | str, what: str) -> Decimal:
    """Returns the exact number. Raises AmountError with a code that begins with `what`."""
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
    """Returns the number of decimals of a finite number, without trailing zeros."""
    return max(0, -int(value.normalize(_EXACT).as_tuple().exponent))


def to_tokens(units: int, decimals: int) -> str:
    """Returns base units as a decimal string of whole tokens, without trailing zeros."""
    if not decimals:
        return str(units)
    digits = str(units).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}".rstrip("0").rstrip(".")


def price(amount_out: int, decimals_out: int, amount_in: int, decimals_in: int) -> str:
    """Returns amount_out / amount_in in whole tokens, as a decimal string.

    Rounded down to PRICE_DIGITS significant digits; "0" where amount_in is 0.
    """
    if not amount_in:
        return "0"
    ratio = _PRICE.divide(Decimal(amount_out), Decimal(amount_in))
    text = f"{ratio.scaleb(decimals_in - decimals_out, _EXACT):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def min_amount_out(amount_out: int, slippage_bps: int) -> int:
    """Returns the minimum output: floor(out * (10000 - bps) / 10000), at least 1."""
    return max(1, amount_out * (10_000 - slippage_bps) // 10_000)


def max_amount_in(amount_in: int, slippage_bps: int) -> int:
    """Returns the maximum input: ceil(in * (10000 + bps) / 10000)."""
    return -(-amount_in * (10_000 + slippage_bps) // 10_000)


# ---------------------------------------------------------------------------------------------
# Prices that orders wait for. They are compared as integers, because that is exact.

PRICE_PLACES = 24
"""Most decimals of a price. The price of the cheapest token in the most expensive has fewer."""
_PRICE_WHOLE_DIGITS = 24


def to_price(text: Decimal | str) -> str:
    """Returns a price in its canonical form: `"1.50e2"` is `"150"`. Raises AmountError."""
    value = _positive(text, "price")
    if value.adjusted() >= _PRICE_WHOLE_DIGITS or value.adjusted() < -PRICE_PLACES:
        raise AmountError("price-out-of-range", f"10^-{PRICE_PLACES} to 10^{_PRICE_WHOLE_DIGITS}")
    if _decimals(value) > PRICE_PLACES:
        raise AmountError("too-many-decimals", f"a price has {PRICE_PLACES} decimals at most")
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def price_units(price: str) -> int:
    """Returns a price of `to_price` or `price` in units of 10^-24, exactly."""
    whole, _, places = price.partition(".")
    return int(whole + places.ljust(PRICE_PLACES, "0")[:PRICE_PLACES])


def amount_at(amount_in: int, decimals_in: int, units: int, decimals_out: int) -> int:
    """Returns the minimum output for amount_in at a price of `units`: rounded up, at least 1."""
    scale: int = 10 ** (PRICE_PLACES + decimals_in)
    return max(1, -(-amount_in * units * int(10**decimals_out) // scale))


def amount_for(amount_in: int, decimals_in: int, units: int, decimals_out: int) -> int:
    """Returns the least output where a token_out costs at most `units` of token_in; rounded up."""
    scale: int = 10 ** (PRICE_PLACES + decimals_out)
    return max(1, -(-amount_in * scale // (units * int(10**decimals_in))))
