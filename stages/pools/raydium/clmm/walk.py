"""Raydium CLMM: a swap walks from one initialised tick to the next, paying a fee on each stretch.

Mirrors `swap_internal` of
https://github.com/raydium-io/raydium-clmm/blob/master/programs/amm/src/instructions/swap.rs and, in
`maths.step`, `compute_swap_step` of libraries/swap_math.rs there. Written from the Uniswap v3
whitepaper (6.2.3 swapping within a tick, 6.3.1 crossing a tick); the split of the fee and the order
of the refusals are those that the vectors show.

This walk is the fast one, for a fixed fee on the input and no limit orders on the way: most swaps.
`general_walk` does the rest, and the same where both can.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec

from stages.pools.contract import PPM, Rejected
from stages.pools.raydium.clmm.dynamic_fee import DynamicFee
from stages.pools.raydium.clmm.maths import U64_MAX, step, step_back
from stages.pools.raydium.clmm.orders import Orders
from stages.pools.raydium.clmm.ticks import MAX_SQRT_PRICE, MIN_SQRT_PRICE, tick_at

U128_MAX = (1 << 128) - 1
NOTHING_FILLED: Mapping[int, Orders] = {}


class Depth(msgspec.Struct, frozen=True, gc=False):
    """The initialised ticks that were read, in order, with the properties that no swap changes."""

    ticks: tuple[int, ...]
    prices: tuple[int, ...]
    """The sqrt price of each, Q64.64."""
    nets: tuple[int, ...]
    """The liquidity that crossing each upwards adds."""
    more_below: bool
    """Whether the pool has initialised tick arrays below those that were read."""
    more_above: bool

    def without(self, gone: Collection[int]) -> Depth:
        """The same, where these ticks are no longer initialised."""
        kept = [number for number, tick in enumerate(self.ticks) if tick not in gone]
        return Depth(
            tuple([self.ticks[number] for number in kept]),
            tuple([self.prices[number] for number in kept]),
            tuple([self.nets[number] for number in kept]),
            self.more_below,
            self.more_above,
        )


class Rates(NamedTuple):
    """Of the pool's config, per million."""

    fee: int
    protocol: int
    """Of the fee."""
    fund: int
    """Of the fee."""


class Position(NamedTuple):
    """The price, tick and liquidity of a pool."""

    sqrt_price: int
    tick: int
    liquidity: int
    growth: int
    """Fees per unit of liquidity ever paid in the token of the fee, Q64.64, modulo 2^128."""


class Walked(NamedTuple):
    """A walk: amounts in base units, and where it ended."""

    amount_in: int
    amount_out: int
    fee: int
    protocol_fee: int
    fund_fee: int
    at: Position
    crossed: list[tuple[int, int]]
    """For each tick crossed: its number in the depth, and the fee growth at that moment."""
    steps: int
    """How many ticks and edges of the fee's groups it came to."""
    filled: Mapping[int, Orders] = NOTHING_FILLED
    """By tick, the orders after it, where it took some."""
    dynamic: DynamicFee | None = None
    """The state of the dynamic fee after it."""


def limit_of(limit: int, sqrt_price: int, a_to_b: bool) -> int:
    """The sqrt price at which a swap stops; 0 asks for none. Raises Rejected."""
    if limit == 0:
        limit = MIN_SQRT_PRICE + 1 if a_to_b else MAX_SQRT_PRICE - 1
    within = MIN_SQRT_PRICE < limit < sqrt_price if a_to_b else sqrt_price < limit < MAX_SQRT_PRICE
    if not within:
        raise Rejected("SqrtPriceLimitOverflow", f"sqrt price limit {limit}, price {sqrt_price}")
    return limit


def walk(
    depth: Depth,
    rates: Rates,
    orders: Mapping[int, Orders],
    start: Position,
    amount: int,
    *,
    a_to_b: bool,
    out: bool,
    limit: int,
) -> Walked | None:
    """Swaps `amount` of the input, or of the output if `out`, up to `limit`. Raises Rejected.

    None if it comes to a tick with limit orders (`orders`, by tick).
    """
    price, tick, liquidity, growth = start
    ticks, prices, nets = depth.ticks, depth.prices, depth.nets
    fee_ppm, protocol_ppm, fund_ppm = rates
    move = step_back if out else step
    number = bisect_right(ticks, tick) - a_to_b
    way = -1 if a_to_b else 1
    remaining = amount
    total_in = total_out = total_fee = protocol = fund = 0
    crossed: list[tuple[int, int]] = []
    at_tick = True
    while remaining and price != limit:
        if not 0 <= number < len(ticks):
            raise edge(depth.more_below if a_to_b else depth.more_above)
        ahead = prices[number]
        target = max(ahead, limit) if a_to_b else min(ahead, limit)
        before = price
        price, paid, got, fee = move(before, target, liquidity, remaining, fee_ppm, a_to_b)
        remaining -= got if out else paid + fee
        total_in += paid
        total_out += got
        if fee:
            to_protocol, to_fund = fee * protocol_ppm // PPM, fee * fund_ppm // PPM
            total_fee += fee
            protocol += to_protocol
            fund += to_fund
            growth += (fee - to_protocol - to_fund << 64) // liquidity
        at_tick = price in (ahead, before)
        if price == ahead:
            if ticks[number] in orders:
                return None
            tick = ticks[number] - a_to_b
            liquidity += nets[number] * way
            if liquidity < 0:
                raise Rejected("LiquiditySubValueErr", "ticks and pool are not of one moment")
            crossed.append((number, growth))
            number += way
    if not at_tick:
        tick = tick_at(price)
    end = Position(price, tick, liquidity, growth & U128_MAX)
    paid = total_in + total_fee
    return checked(Walked(paid, total_out, total_fee, protocol, fund, end, crossed, len(crossed)))


def edge(more: bool) -> Rejected:
    """Why a swap cannot continue: no liquidity is left, or the ticks beyond were not read."""
    if more:
        return Rejected(
            "NotEnoughTickArrayAccount", "it runs beyond the tick arrays that were read"
        )
    return Rejected("LiquidityInsufficient", "no initialised tick is left that way")


def checked(walked: Walked) -> Walked:
    """The walk, if its amounts fit the program's integers. Raises Rejected."""
    if walked.amount_in > U64_MAX:
        raise Rejected("CalculateOverflow", "more than a u64 would go in")
    return walked
