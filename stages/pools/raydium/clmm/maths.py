"""Raydium CLMM: amounts and prices of one stretch of constant liquidity, rounded for the pool.

From the definitions of concentrated liquidity (Uniswap v3 whitepaper, 6.2.3): between two square
roots of the price, token 1 moves by L·Δ√P and token 0 by L·Δ(1/√P). Input is rounded up, output is
rounded down, and the price such that the pool never loses. Square roots are
Q64.64, fees per million. Where the fee is on the output, the rounding is that of the vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stages.pools.contract import PPM, Rejected

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
    after = _price_after_in(price, liquidity, usable, a_to_b)
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
        after, out = _price_after_out(price, liquidity, remaining, a_to_b), remaining
    used = _u64(_amount_in(price, after, liquidity, a_to_b))
    return after, used, out, -(-used * fee_ppm // (PPM - fee_ppm))


def step_fee_on_output(
    price: int, target: int, liquidity: int, remaining: int, fee_ppm: int, a_to_b: bool
) -> tuple[int, int, int, int]:
    """As `step`, with the fee taken from the output: (price after, in, net out, fee)."""
    used = _amount_in(price, target, liquidity, a_to_b)
    after = target
    if remaining < used:
        # What rounding leaves of the input is paid all the same.
        after, used = _price_after_in(price, liquidity, remaining, a_to_b), remaining
    gross = _u64(_amount_out(price, after, liquidity, a_to_b))
    fee = -(-gross * fee_ppm // PPM)
    return after, used, gross - fee, fee


def step_back_fee_on_output(
    price: int, target: int, liquidity: int, remaining: int, fee_ppm: int, a_to_b: bool
) -> tuple[int, int, int, int]:
    """As `step_back`, with the fee taken from the output: (price after, in, net out, fee)."""
    requested = -(-remaining * PPM // (PPM - fee_ppm))
    gross = _amount_out(price, target, liquidity, a_to_b)
    after = target
    if requested < gross:
        after = _price_after_out(price, liquidity, requested, a_to_b)
        gross = _amount_out(price, after, liquidity, a_to_b)
    used = _u64(_amount_in(price, after, liquidity, a_to_b))
    net = min(_u64(gross) - -(-gross * fee_ppm // PPM), remaining)
    return after, used, net, gross - net


Move = Callable[[int, int, int, int, int, bool], tuple[int, int, int, int]]

MOVES: Mapping[tuple[bool, bool], Move] = {
    (False, True): step,
    (True, True): step_back,
    (False, False): step_fee_on_output,
    (True, False): step_back_fee_on_output,
}
"""By whether the output is exact, and whether the fee is taken from the input."""


def _price_after_in(price: int, liquidity: int, amount: int, a_to_b: bool) -> int:
    """The sqrt price after `amount` came in, rounded towards `price`."""
    if a_to_b:
        return -(-(liquidity << 64) * price // ((liquidity << 64) + amount * price))
    return price + (amount << 64) // liquidity


def _price_after_out(price: int, liquidity: int, amount: int, a_to_b: bool) -> int:
    """The sqrt price after `amount` went out, rounded away from `price`."""
    if a_to_b:
        return price - -(-(amount << 64) // liquidity)
    return -(-(liquidity << 64) * price // ((liquidity << 64) - amount * price))


def _amount_in(price: int, after: int, liquidity: int, a_to_b: bool) -> int:
    """The input that moves the price from `price` to `after`, rounded up."""
    if a_to_b:
        return -(-(liquidity * (price - after) << 64) // (price * after))
    return (liquidity * (after - price) + _Q64_LESS_1) >> 64


def _amount_out(price: int, after: int, liquidity: int, a_to_b: bool) -> int:
    """The output when the price moves from `price` to `after`, rounded down."""
    if a_to_b:
        return liquidity * (price - after) >> 64
    return (liquidity * (after - price) << 64) // (price * after)


def _u64(amount: int) -> int:
    if amount > U64_MAX:
        raise Rejected("MaxTokenOverflow", "a step moves more than a u64 of one token")
    return amount
