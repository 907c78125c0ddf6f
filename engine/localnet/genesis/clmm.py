"""A Raydium CLMM pool: bytes of the test vectors, with two positions around the price.

Some pools have a dynamic fee and a limit order on either side.
"""

from __future__ import annotations

from struct import Struct

from engine.localnet.genesis.market import CLMM, PoolPlan
from engine.localnet.genesis.templates import (
    account,
    amount_a,
    amount_b,
    liquidity_of_b,
    put,
    put_key,
    template,
)
from engine.localnet.state.accounts import Account, token_account
from engine.localnet.state.addresses import derived, raw
from stages.pools.raydium.clmm.ticks import sqrt_price_at, tick_at

TICKS = 60
# Half widths in ticks (1 tick is a basis point), and each position's share in hundredths.
_POSITIONS = ((600, 60), (6_000, 40))
_EXTENSION_BELOW = 15
"""Pools of a smaller tick spacing have a bitmap extension."""
# Filter and decay period in seconds, reduction factor (1/10,000), control, greatest volatility: the
# fee rises by 0.05 % where the price is 1 % away, and by 5 % at most.
_DYNAMIC_FEE = Struct("<HHHII")
_DYNAMIC_FEE_TERMS = (10, 120, 5_000, 5_000, 1_000_000)
_ORDER_TICKS = 50
"""Distance of the limit orders from the price, in ticks."""
_ORDER_SHARE = 100
"""A limit order sells 1/100 of its side's liquidity."""


def create_pool_accounts(plan: PoolPlan) -> dict[str, Account]:
    """The accounts of the pool."""
    now = plan.sqrt_price
    tick = tick_at(now)
    span = plan.spacing * TICKS
    nets: dict[int, tuple[int, int]] = {}
    total = need_a = need_b = 0
    for half, share in _POSITIONS:
        low, high = _round(tick - half, plan.spacing), _round(tick + half, plan.spacing)
        below, above = sqrt_price_at(low), sqrt_price_at(high)
        liquidity = liquidity_of_b(plan.amount(plan.token_b) * share // 100, below, now)
        total += liquidity
        need_a += amount_a(liquidity, now, above)
        need_b += amount_b(liquidity, below, now)
        for at, net in ((low, liquidity), (high, -liquidity)):
            old = nets.get(at, (0, 0))
            nets[at] = (old[0] + net, old[1] + liquidity)
    orders = _orders(plan, tick)
    sold_a = sum(amount for at, amount in orders.items() if at > tick)
    sold_b = sum(amount for at, amount in orders.items() if at <= tick)
    arrays = {at // span for at in (*nets, *orders)}
    return {
        plan.address: account(CLMM, _pool(plan, tick, total, arrays)),
        plan.part("config"): account(CLMM, _config(plan)),
        plan.part("observation"): account(CLMM, _of(plan, "clmm_observation", 17)),
        **_extension(plan),
        **_arrays(plan, nets, orders),
        plan.part("vault_a"): token_account(plan.token_a.mint, plan.address, need_a + sold_a + 1),
        plan.part("vault_b"): token_account(plan.token_b.mint, plan.address, need_b + sold_b + 1),
    }


def _orders(plan: PoolPlan, tick: int) -> dict[int, int]:
    """The amounts of limit orders by tick: the second token below the price, the first above."""
    if not plan.dynamic_fee:
        return {}
    return {
        _round(tick - _ORDER_TICKS, plan.spacing): plan.amount(plan.token_b) // _ORDER_SHARE,
        _round(tick + _ORDER_TICKS, plan.spacing): plan.amount(plan.token_a) // _ORDER_SHARE,
    }


def _round(tick: int, spacing: int) -> int:
    return tick // spacing * spacing


def _pool(plan: PoolPlan, tick: int, liquidity: int, arrays: set[int]) -> bytearray:
    data = template("clmm_pool")
    keys = (
        (9, plan.part("config")), (73, plan.token_a.mint), (105, plan.token_b.mint),
        (137, plan.part("vault_a")), (169, plan.part("vault_b")),
        (201, plan.part("observation")),
    )  # fmt: skip
    for at, key in keys:
        put_key(data, at, key)
    data[233], data[234] = plan.token_a.decimals, plan.token_b.decimals
    put(data, 235, plan.spacing, 2)
    put(data, 237, liquidity, 16)
    put(data, 253, plan.sqrt_price, 16)
    put(data, 269, tick, 4)
    data[277:389] = bytes(112)  # growths, fees and totals begin at nothing
    bits = 0
    for number in arrays:
        assert -512 <= number < 512, "an array outside the pool's own bitmap"
        bits |= 1 << (number + 512)
    put(data, 904, bits, 128)
    if plan.dynamic_fee:
        _DYNAMIC_FEE.pack_into(data, 1096, *_DYNAMIC_FEE_TERMS)
        put(data, 1110, tick // plan.spacing, 4)
    return data


def _config(plan: PoolPlan) -> bytearray:
    data = template("clmm_config")
    put(data, 43, 120_000, 4)
    put(data, 47, plan.fee, 4)
    put(data, 51, plan.spacing, 2)
    put(data, 53, 40_000, 4)
    return data


def _of(plan: PoolPlan, name: str, at: int) -> bytearray:
    """A template with the address of the pool at `at`."""
    data = template(name)
    put_key(data, at, plan.address)
    return data


def _extension(plan: PoolPlan) -> dict[str, Account]:
    if plan.spacing >= _EXTENSION_BELOW:
        return {}
    address = derived(CLMM, b"pool_tick_array_bitmap_extension", raw(plan.address))
    return {address: account(CLMM, _of(plan, "clmm_extension", 8))}


def _arrays(
    plan: PoolPlan, nets: dict[int, tuple[int, int]], orders: dict[int, int]
) -> dict[str, Account]:
    span = plan.spacing * TICKS
    arrays: dict[int, bytearray] = {}
    for tick in sorted({*nets, *orders}):
        net, gross = nets.get(tick, (0, 0))
        start = tick // span * span
        if start not in arrays:
            arrays[start] = _of(plan, "clmm_array", 8)
            put(arrays[start], 40, start, 4)
        data = arrays[start]
        at = 44 + 168 * ((tick - start) // plan.spacing)
        put(data, at, tick, 4)
        put(data, at + 4, net, 16)
        put(data, at + 20, gross, 16)
        put(data, at + 116, int(tick in orders), 8)  # the phase of the first orders
        put(data, at + 124, orders.get(tick, 0), 8)
        data[10_124] += 1
    return {
        derived(CLMM, b"tick_array", raw(plan.address), start.to_bytes(4, "big", signed=True)):
            account(CLMM, data)
        for start, data in arrays.items()
    }  # fmt: skip
