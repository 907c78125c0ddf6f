"""Whether a pool takes a swap now, and at which rate its first units are filled. Pure.

The judge is the pool's own quoter, which answers as the program does: a pool that is disabled or
not open yet, that has nothing on the side that pays out, or whose price stands at its edge refuses
the probe. So no family needs flags of its own here.
"""

from __future__ import annotations

from stages.pools.contract import Clock, Pool, Rejected, Swap, Unsupported, before_fees

U64_MAX = 2**64 - 1
Rate = tuple[int, int]
"""Base units out per base unit in, before fees, as a fraction."""

PROBE_UNITS = (10_000, 100, 10)
"""The least worth of a probe, in base units of either token: small beside any order, and large
enough for rounding not to matter. The smaller ones are for tokens with few decimals."""
ROUNDED_UNITS = 2
"""So many units of the output may be lost to rounding."""


def first_rate(pool: Pool, a_to_b: bool, clock: Clock) -> Rate | None:
    """The rate of the first units that are filled, or None where the program takes no swap.

    It is the spot price, but where nothing rests at that: then it is the rate of the nearest
    liquidity, within `ROUNDED_UNITS`.
    """
    try:
        spot = pool.spot(a_to_b)
        if min(spot) <= 0:
            return None
        swap = _filled(pool, a_to_b, clock, spot)
    except (Unsupported, ValueError, ArithmeticError):
        return None
    if swap is None:
        return None
    amount_in, amount_out = before_fees(swap)
    best = amount_out + ROUNDED_UNITS, amount_in
    return best if best[0] * spot[1] < spot[0] * best[1] else spot


def _filled(pool: Pool, a_to_b: bool, clock: Clock, spot: Rate) -> Swap | None:
    for units in PROBE_UNITS:
        amount = max(units, -(-units * spot[1] // spot[0]))
        if amount > U64_MAX:
            continue
        try:
            return pool.exact_in(amount, a_to_b, clock)
        except Rejected:
            continue
    return None
