"""Raydium CLMM: the square root of the price at a tick, and the tick at a square root, in Q64.64.

The price at tick t is 1.0001^t (Uniswap v3 whitepaper, 6.1). The program multiplies rounded
powers of 1.0001^(-1/2), so its powers, not better ones, are the price: `get_sqrt_price_at_tick` of
https://github.com/raydium-io/raydium-clmm (programs/amm/src/libraries/tick_math.rs).
"""

from __future__ import annotations

from functools import lru_cache

Q64 = 1 << 64
MIN_TICK = -443_636
MAX_TICK = 443_636

_U128_MAX = (1 << 128) - 1
# 1.0001^(-2^i / 2) in Q64.64 as the program rounded it, i = 0 to 18.
_POWERS = (
    0xFFFCB933BD6FB800,
    0xFFF97272373D4000,
    0xFFF2E50F5F657000,
    0xFFE5CACA7E10F000,
    0xFFCB9843D60F7000,
    0xFF973B41FA98E800,
    0xFF2EA16466C9B000,
    0xFE5DEE046A9A3800,
    0xFCBE86C7900BB000,
    0xF987A7253AC65800,
    0xF3392B0822BB6000,
    0xE7159475A2CAF000,
    0xD097F3BDFD2F2000,
    0xA9F746462D9F8000,
    0x70D869A156F31C00,
    0x31BE135F97ED3200,
    0x09AA508B5B85A500,
    0x005D6AF8DEDC582C,
    0x00002216E584F5FA,
)


@lru_cache(maxsize=1 << 15)
def sqrt_price_at(tick: int) -> int:
    """The square root of the price at `tick`, Q64.64, rounded as the program rounds it."""
    if not MIN_TICK <= tick <= MAX_TICK:
        raise ValueError(f"tick {tick} is out of range")
    ratio, bits, power = Q64, abs(tick), 0
    while bits:
        if bits & 1:
            ratio = ratio * _POWERS[power] >> 64
        bits >>= 1
        power += 1
    return _U128_MAX // ratio if tick > 0 else ratio


MIN_SQRT_PRICE = sqrt_price_at(MIN_TICK)
MAX_SQRT_PRICE = sqrt_price_at(MAX_TICK)


def tick_at(sqrt_price: int) -> int:
    """The greatest tick whose sqrt price is not above `sqrt_price`. ValueError out of range."""
    if not MIN_SQRT_PRICE <= sqrt_price < MAX_SQRT_PRICE:
        raise ValueError(f"sqrt price {sqrt_price} is out of range")
    tick = _about(sqrt_price)
    while sqrt_price_at(tick) > sqrt_price:
        tick -= 1
    while sqrt_price_at(tick + 1) <= sqrt_price:
        tick += 1
    return tick


def _about(sqrt_price: int) -> int:
    """The tick to within one or two: the powers are divided out again, the largest first."""
    rest = sqrt_price if sqrt_price < Q64 else _U128_MAX // sqrt_price
    tick = 0
    for power in range(len(_POWERS) - 1, -1, -1):
        if rest <= _POWERS[power]:
            rest = (rest << 64) // _POWERS[power]
            tick += 1 << power
    tick = min(tick, MAX_TICK - 1)
    return -tick if sqrt_price < Q64 else tick
