"""Raydium CLMM: amounts and prices of one stretch of constant liquidity, rounded for the pool.

From the definitions of concentrated liquidity (Uniswap v3 whitepaper, 6.2.3): between two square
roots of the price, token 1 moves by L·Δ√P and token 0 by L·Δ(1/√P). What comes in is rounded up,
what goes out is rounded down, and the price is rounded towards where it came from. Square roots
are Q64.64, fees per million.
"""

from __future__ import annotations

from stages.venues.pool import PPM, Rejected

U64_MAX = (1 << 64) - 1
_Q64_LESS_1 = (1 << 64) - 1


def step(
    price: int, target: int, liquidity: int, remaining: int, fee_ppm: int, a_to_b: bool
) -> tuple[int, int, int, int]:
    """Exact in, towards `target`: (price after, amount in, amount out, fee on top of the in).

    Raises Rejected (MaxTokenOverflow) where an amount is not a u64.
    """
    usable = remaining * (PPM - fee_ppm) // PPM
    needed = _amount_in(price, target, liquidity, a_to_b)
    if usable >= needed:
        fee = -(-needed * fee_ppm // (PPM - fee_ppm))
        return target, needed, _u64(_amount_out(price, target, liquidity, a_to_b)), fee
    if a_to_b:
        after = -(-(liquidity << 64) * price // ((liquidity << 64) + usable * price))
    else:
        after = price + (usable << 64) // liquidity
    used = _amount_in(price, after, liquidity, a_to_b)
    # What rounding leaves of the input is fee too: an exact-in swap spends all of it.
    return after, used, _u64(_amount_out(price, after, liquidity, a_to_b)), remaining - used


def step_back(
    price: int, target: int, liquidity: int, remaining: int, fee_ppm: int, a_to_b: bool
) -> tuple[int, int, int, int]:
    """Exact out, towards `target`: as `step`, with `remaining` of the output token."""
    most = _amount_out(price, target, liquidity, a_to_b)
    if remaining >= most:
        after, out = target, most
    else:
        out = remaining
        if a_to_b:
            after = price - -(-(remaining << 64) // liquidity)
        else:
            after = -(-(liquidity << 64) * price // ((liquidity << 64) - remaining * price))
    used = _u64(_amount_in(price, after, liquidity, a_to_b))
    return after, used, out, -(-used * fee_ppm // (PPM - fee_ppm))


def _amount_in(price: int, after: int, liquidity: int, a_to_b: bool) -> int:
    """What must come in to move the price from `price` to `after`, rounded up."""
    if a_to_b:
        return -(-(liquidity * (price - after) << 64) // (price * after))
    return (liquidity * (after - price) + _Q64_LESS_1) >> 64


def _amount_out(price: int, after: int, liquidity: int, a_to_b: bool) -> int:
    """What goes out when the price moves from `price` to `after`, rounded down."""
    if a_to_b:
        return liquidity * (price - after) >> 64
    return (liquidity * (after - price) << 64) // (price * after)


def _u64(amount: int) -> int:
    if amount > U64_MAX:
        raise Rejected("MaxTokenOverflow", "a step moves more than a u64 of one token")
    return amount
