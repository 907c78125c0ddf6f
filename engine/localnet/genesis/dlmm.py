"""A Meteora DLMM pair: bytes of the test vectors, with bins of equal value around the price."""

from __future__ import annotations

from math import log

from engine.localnet.genesis.market import DLMM, PoolPlan
from engine.localnet.genesis.templates import Q64, account, put, put_key, template
from engine.localnet.state.accounts import Account, token_account
from engine.localnet.state.addresses import derived, raw
from stages.pools.meteora.dlmm.maths import price_at

BINS = 70
_EACH_WAY_BPS = 1_500
"""How far from the price bins have liquidity."""
_VARIABLE_AT, _PROTOCOL_FEES_AT, _BITMAP_AT = 40, 216, 584


def create_pool_accounts(plan: PoolPlan) -> dict[str, Account]:
    """The accounts of the pair."""
    active = _active(plan)
    each_way = _EACH_WAY_BPS // plan.spacing
    worth = plan.amount(plan.token_b) // (each_way + 1)
    arrays: dict[int, bytearray] = {}
    need_x = need_y = 0
    for number in range(active - each_way, active + each_way + 1):
        price = price_at(number, plan.spacing)
        x = worth * Q64 // price if number >= active else 0
        y = worth if number <= active else 0
        need_x, need_y = need_x + x, need_y + y
        _bin(plan, arrays, number, price, (x, y))
    return {
        plan.address: account(DLMM, _pair(plan, active, set(arrays))),
        _oracle(plan): account(DLMM, template("dlmm_oracle")),
        **{_array_address(plan, index): account(DLMM, data) for index, data in arrays.items()},
        plan.part("vault_a"): token_account(plan.token_a.mint, plan.address, need_x),
        plan.part("vault_b"): token_account(plan.token_b.mint, plan.address, need_y),
    }


def _active(plan: PoolPlan) -> int:
    """The highest bin whose price is not above the pool's."""
    price = (plan.price.numerator << 64) // plan.price.denominator
    # A first guess only: the exact prices decide.
    number = int(log(plan.price) / log(1 + plan.spacing / 10_000))
    while price_at(number, plan.spacing) > price:
        number -= 1
    while price_at(number + 1, plan.spacing) <= price:
        number += 1
    return number


def _pair(plan: PoolPlan, active: int, arrays: set[int]) -> bytearray:
    data = template("dlmm_pair")
    # The base fee is base_factor · bin_step · 10 per 1e9; `fee` is per 1e6.
    put(data, 8, plan.fee * 100 // plan.spacing, 2)
    data[_VARIABLE_AT : _VARIABLE_AT + 32] = bytes(32)
    put(data, _VARIABLE_AT + 8, active, 4)
    put(data, 73, plan.spacing, 2)
    put(data, 76, active, 4)
    put(data, 80, plan.spacing, 2)
    keys = (
        (88, plan.token_a.mint), (120, plan.token_b.mint), (152, plan.part("vault_a")),
        (184, plan.part("vault_b")), (552, _oracle(plan)),
    )  # fmt: skip
    for at, key in keys:
        put_key(data, at, key)
    data[_PROTOCOL_FEES_AT : _PROTOCOL_FEES_AT + 16] = bytes(16)
    bits = 0
    for index in arrays:
        assert -512 <= index < 512, "an array outside the pair's own bitmap"
        bits |= 1 << (index + 512)
    put(data, _BITMAP_AT, bits, 128)
    return data


def _bin(
    plan: PoolPlan, arrays: dict[int, bytearray], number: int, price: int, held: tuple[int, int]
) -> None:
    index, slot = divmod(number, BINS)
    if index not in arrays:
        arrays[index] = template("dlmm_array")
        put(arrays[index], 8, index, 8)
        put_key(arrays[index], 24, plan.address)
    at = 56 + 144 * slot
    x, y = held
    put(arrays[index], at, x, 8)
    put(arrays[index], at + 8, y, 8)
    put(arrays[index], at + 16, price, 16)
    put(arrays[index], at + 32, price * x + (y << 64), 16)


def _array_address(plan: PoolPlan, index: int) -> str:
    seed = index.to_bytes(8, "little", signed=True)
    return derived(DLMM, b"bin_array", raw(plan.address), seed)


def _oracle(plan: PoolPlan) -> str:
    return derived(DLMM, b"oracle", raw(plan.address))
