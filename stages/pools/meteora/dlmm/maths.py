"""Meteora DLMM: prices, fee rates and who gets the fee. Pure integers.

Formulas: https://docs.meteora.ag/core-products/dlmm/formulas; roundings from the vectors.
"""

from __future__ import annotations

Q64 = 64
FEE_UNIT = 1_000_000_000
"""Fee rates are per 1e9."""
MAX_FEE_RATE = 100_000_000
BPS = 10_000
VOLATILITY_PER_BIN = 10_000

_ONE_X64 = 1 << Q64
_U128_MAX = (1 << 128) - 1
_VARIABLE_UNIT = 100_000_000_000
_ORDER_SHARE_BPS = 5_000
"""The limit orders' part of the fee on their sales."""


def price_at(bin_id: int, bin_step: int) -> int:
    """Q64.64 price (y per x) of a bin: (1 + bin_step / 10,000) ** bin_id, rounded as on chain.

    A power is computed below one, by squares from the lowest bit, and inverted at the end; each
    product is floored.
    """
    power = _ONE_X64
    square = _U128_MAX // (_ONE_X64 + (bin_step << Q64) // BPS)
    exponent = abs(bin_id)
    while exponent:
        if exponent & 1:
            power = power * square >> Q64
        square = square * square >> Q64
        exponent >>= 1
    return _U128_MAX // power if bin_id > 0 else power


def fee_rate(base_rate: int, control: int, volatility: int, bin_step: int) -> int:
    """Base plus variable fee rate, per 1e9: control * (volatility * bin_step)² / 1e11, capped."""
    spread = volatility * bin_step
    return min(MAX_FEE_RATE, base_rate - (-control * spread * spread // _VARIABLE_UNIT))


def fee_within(amount: int, rate: int) -> int:
    """The fee in an amount that includes it."""
    return -(-amount * rate // FEE_UNIT)


def fee_upon(amount: int, rate: int) -> int:
    """The fee on top of an amount that excludes it."""
    return -(-amount * rate // (FEE_UNIT - rate))


def protocol_fee(fee: int, makers_in: int, orders_in: int, share_bps: int) -> int:
    """The protocol's part of a bin's fee.

    The fee is divided by what makers and limit orders take in; of the makers' part the protocol
    gets its share, of the orders' part one half, rounded up. Where the fee ate the whole input
    there is no other receiver.
    """
    if orders_in:
        orders = fee * orders_in // (makers_in + orders_in)
        return (fee - orders) * share_bps // BPS + orders - orders * _ORDER_SHARE_BPS // BPS
    return fee * share_bps // BPS if makers_in else fee
