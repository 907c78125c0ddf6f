"""How far the price moves and what that costs or pays, in integers that favour the pool.

Between two prices a range of liquidity L exchanges (docs.meteora.ag, DAMM v2 formulas)

    Δa = L · (1/√P' - 1/√P)        Δb = L · (√P' - √P)

With √P in Q64.64 and L scaled by 2^64, Δa = L·(√P - √P')/(√P·√P') and Δb = L·(√P - √P')/2^128 in
base units. Solved for √P' with one of them given: a in moves it to L·√P/(L + a·√P), b in to
√P + b·2^128/L. What leaves rounds down, what is asked rounds up, and so a price rounds towards less
output or more input. All of this agrees with every vector of dammv2.json.

A compounding pool has no range: it is a·b = k on its reserves, priced at √(b/a).
"""

from __future__ import annotations

from math import isqrt

from stages.pools.contract import Rejected

OVERFLOW = "MathOverflow"
OUT_OF_RANGE = "PriceRangeViolation"

Spent = tuple[int, int, int]
"""Net input consumed, output before fees, √P after."""


def spend(
    liquidity: int, sqrt_price: int, limit: int, net: int, a_to_b: bool, partial: bool
) -> Spent:
    """The output for `net` input. At the limit of the range `partial` stops; otherwise it is
    refused.
    """
    if a_to_b:
        after = -(-liquidity * sqrt_price // (liquidity + net * sqrt_price))
        if after < limit:
            if not partial:
                raise Rejected(OUT_OF_RANGE)
            after = limit
            net = -(-liquidity * (sqrt_price - after) // (sqrt_price * after))
        return net, liquidity * (sqrt_price - after) >> 128, after
    after = sqrt_price + (net << 128) // liquidity
    if after > limit:
        if not partial:
            raise Rejected(OUT_OF_RANGE)
        after = limit
        net = -(-liquidity * (after - sqrt_price) >> 128)
    return net, liquidity * (after - sqrt_price) // (sqrt_price * after), after


def cost(liquidity: int, sqrt_price: int, limit: int, gross: int, a_to_b: bool) -> tuple[int, int]:
    """The net input that pays `gross` output, and √P after."""
    if a_to_b:
        after = sqrt_price + (-(gross << 128) // liquidity)
        if after < 0:
            raise Rejected(OVERFLOW, "more than the pool has")
        if after < limit:
            raise Rejected(OUT_OF_RANGE)
        return -(-liquidity * (sqrt_price - after) // (sqrt_price * after)), after
    left = liquidity - gross * sqrt_price
    if left <= 0:
        raise Rejected(OVERFLOW, "more than the pool has")
    after = -(-liquidity * sqrt_price // left)
    if after > limit:
        raise Rejected(OUT_OF_RANGE)
    return -(-liquidity * (after - sqrt_price) >> 128), after


def product_out(reserve_in: int, reserve_out: int, net: int) -> int:
    """The output for `net` input at a·b = k."""
    return reserve_out * net // (reserve_in + net)


def product_in(reserve_in: int, reserve_out: int, gross: int) -> int:
    """The net input that pays `gross` output at a·b = k."""
    if gross >= reserve_out:
        raise Rejected(OVERFLOW, "more than the pool has")
    return -(-reserve_in * gross // (reserve_out - gross))


def product_price(reserve_a: int, reserve_b: int) -> int:
    """√(b/a) in Q64.64, rounded down."""
    return isqrt((reserve_b << 128) // reserve_a)


def range_reserves(liquidity: int, sqrt_price: int, low: int, high: int) -> tuple[int, int]:
    """The amounts of a and b in the range, from its price to either limit, rounded up."""
    in_a = -(-liquidity * (high - sqrt_price) // (sqrt_price * high))
    return in_a, -(-liquidity * (sqrt_price - low) >> 128)
