"""Raydium CLMM: a pool's state written back into the bytes of its accounts."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import MutableMapping

from stages.pools.raydium.clmm import layout
from stages.pools.raydium.clmm.addresses import array_address, extension_address
from stages.pools.raydium.clmm.bitmap import number_of, place
from stages.pools.raydium.clmm.layout import raw128
from stages.pools.raydium.clmm.pool import ClmmPool

Buffers = MutableMapping[str, bytearray]

_BITMAPS = {
    "own": layout.BITMAP_AT,
    "up": layout.EXTENSION_UP_AT,
    "down": layout.EXTENSION_DOWN_AT,
}


def write(after: ClmmPool, accounts: Buffers) -> None:
    """Writes a pool and the ticks that swaps changed. Rewards, oracle and vaults stay."""
    data = accounts[after.address]
    position = (raw128(after.liquidity), raw128(after.sqrt_price), after.tick)
    layout.POSITION.pack_into(data, layout.POSITION_AT, *position)
    fees = (after.protocol_fees_a, after.protocol_fees_b)
    growths = (raw128(after.growth_a), raw128(after.growth_b))
    layout.GROWTHS.pack_into(data, layout.GROWTHS_AT, *growths, *fees)
    layout.FUND_FEES.pack_into(data, layout.FUND_FEES_AT, after.fund_fees_a, after.fund_fees_b)
    if after.dynamic is not None:
        layout.write_dynamic_fee(data, after.dynamic)
    for tick in after.crossed:
        outside = after.outside[bisect_left(after.depth.ticks, tick)]
        layout.write_outside(_array(after, tick, accounts), tick, after.spacing, outside)
    for tick, orders in after.filled.items():
        layout.write_orders(_array(after, tick, accounts), tick, after.spacing, orders)
    for number in {number_of(tick, after.spacing) for tick in after.filled}:
        array = accounts[array_address(after.program, after.address, number, after.spacing)]
        if not layout.write_count(array):
            _clear(after, number, accounts)


def _array(after: ClmmPool, tick: int, accounts: Buffers) -> bytearray:
    number = number_of(tick, after.spacing)
    return accounts[array_address(after.program, after.address, number, after.spacing)]


def _clear(after: ClmmPool, number: int, accounts: Buffers) -> None:
    """Clear the bit of a tick array without initialised ticks."""
    bitmap, byte, mask = place(number)
    own = bitmap == "own"
    data = accounts[after.address if own else extension_address(after.program, after.address)]
    data[_BITMAPS[bitmap] + byte] &= ~mask
