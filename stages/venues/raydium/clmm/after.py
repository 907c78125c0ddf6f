"""Raydium CLMM: the pool after a swap."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import msgspec

from stages.venues.raydium.clmm.bitmap import number_of
from stages.venues.raydium.clmm.orders import Orders
from stages.venues.raydium.clmm.walk import U128_MAX, Walked

if TYPE_CHECKING:
    from stages.venues.raydium.clmm.pool import ClmmPool

Outside = tuple[tuple[int, int], ...]


def after(pool: ClmmPool, walked: Walked, a_to_b: bool) -> ClmmPool:
    """The pool after a swap that walked so."""
    price, tick, liquidity, growth = walked.at
    fee_in_a = pool.fee_in_a(a_to_b)
    changes: dict[str, object] = {"sqrt_price": price, "tick": tick, "liquidity": liquidity}
    if a_to_b:
        changes["balance_a"] = pool.balance_a + walked.amount_in
        changes["balance_b"] = pool.balance_b - walked.amount_out
    else:
        changes["balance_b"] = pool.balance_b + walked.amount_in
        changes["balance_a"] = pool.balance_a - walked.amount_out
    if fee_in_a:
        changes["growth_a"] = growth
        changes["protocol_fees_a"] = pool.protocol_fees_a + walked.protocol_fee
        changes["fund_fees_a"] = pool.fund_fees_a + walked.fund_fee
    else:
        changes["growth_b"] = growth
        changes["protocol_fees_b"] = pool.protocol_fees_b + walked.protocol_fee
        changes["fund_fees_b"] = pool.fund_fees_b + walked.fund_fee
    if walked.dynamic is not None:
        changes["dynamic"] = walked.dynamic
    outside = pool.outside
    if walked.crossed:
        changes["outside"] = outside = _outside_after(pool, walked.crossed, fee_in_a)
        ticks = [pool.depth.ticks[number] for number, _ in walked.crossed]
        changes["crossed"] = pool.crossed.union(ticks)
    if walked.filled:
        changes.update(_filled(pool, walked.filled, outside))
    return msgspec.structs.replace(pool, **changes)


def _outside_after(pool: ClmmPool, crossed: list[tuple[int, int]], fee_in_a: bool) -> Outside:
    """A tick that is crossed changes its far side (Uniswap v3 whitepaper, formula 6.26)."""
    outside = list(pool.outside)
    for number, growth in crossed:
        far_a, far_b = outside[number]
        growth_a, growth_b = (growth, pool.growth_b) if fee_in_a else (pool.growth_a, growth)
        outside[number] = ((growth_a - far_a) & U128_MAX, (growth_b - far_b) & U128_MAX)
    return tuple(outside)


def _filled(pool: ClmmPool, filled: Mapping[int, Orders], outside: Outside) -> dict[str, object]:
    """What orders that were filled change: a tick that held nothing else is one no longer."""
    orders = {tick: left for tick, left in {**pool.orders, **filled}.items() if left.total}
    changes: dict[str, object] = {"orders": orders, "filled": {**pool.filled, **filled}}
    gone = {tick for tick, left in filled.items() if left.alone and not left.total}
    if gone:
        changes.update(_without(pool, gone, outside))
    return changes


def _without(pool: ClmmPool, gone: Collection[int], outside: Outside) -> dict[str, object]:
    """The ticks without some, and the tick arrays without those that are empty then."""
    ticks = pool.depth.ticks
    depth = pool.depth.without(gone)
    kept = {number_of(tick, pool.spacing) for tick in depth.ticks}
    return {
        "depth": depth,
        "arrays": tuple([number for number in pool.arrays if number in kept]),
        "outside": tuple(
            [far for tick, far in zip(ticks, outside, strict=True) if tick not in gone]
        ),
    }
