"""Raydium CLMM: the offsets of the fields of its accounts, little endian, and how they are read.

Source: https://github.com/raydium-io/raydium-clmm (programs/amm/src/states: pool.rs,
tick_array.rs, tickarray_bitmap_extension.rs, config.rs).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from struct import Struct
from typing import Any, NamedTuple

from solders.pubkey import Pubkey

from stages.pools.raydium.clmm.bitmap import TICKS_PER_ARRAY, joint
from stages.pools.raydium.clmm.dynamic_fee import DynamicFee
from stages.pools.raydium.clmm.orders import Orders

POOL_SIZE = 1544
POOL_DISCRIMINATOR = bytes.fromhex("f7ede3f5d7c3de46")
CONFIG_DISCRIMINATOR = bytes.fromhex("daf42168cbcb2b6f")
ARRAY_SIZE = 10_240
ARRAY_DISCRIMINATOR = bytes.fromhex("c09b55cd31f9812a")
EXTENSION_SIZE = 1832
EXTENSION_DISCRIMINATOR = bytes.fromhex("3c9624db61808b99")

# The ten fields that a swap changes: liquidity, sqrt price and tick; two fee growths and two
# protocol fees; two fund fees. u128s are read as two halves.
POSITION = Struct("<16s16si")
POSITION_AT = 237
GROWTHS = Struct("<16s16sQQ")
GROWTHS_AT = 277
FUND_FEES = Struct("<QQ")
FUND_FEES_AT = 1064
# Config, mints, vaults and observation; the owner lies between the first two.
_KEYS_AT = (9, 73, 105, 137, 169, 201)
_SPACING = Struct("<H")
_SPACING_AT = 235
_STATUS_AT = 389
_FEE_ON_AT = 390
BITMAP_AT = 904
_BITMAP = slice(BITMAP_AT, 1032)
_OPEN_TIME = Struct("<Q")
_OPEN_TIME_AT = 1080
# Filter and decay period, reduction factor, control, greatest volatility; then the four fields that
# a swap changes: reference group, reference volatility, volatility, time of the reference.
_DYNAMIC_FEE = slice(1096, 1176)
_DYNAMIC_FIELDS = Struct("<HHHIIiIIQ")
_DYNAMIC_CHANGES = Struct("<iIIQ")
_DYNAMIC_CHANGES_AT = 1110
EXTENSION_UP_AT = 40
EXTENSION_DOWN_AT = 936
_EXTENSION_UP = slice(EXTENSION_UP_AT, EXTENSION_DOWN_AT)
_EXTENSION_DOWN = slice(EXTENSION_DOWN_AT, EXTENSION_SIZE)
_CONFIG_RATES = Struct("<IIHI")
_CONFIG_RATES_AT = 43
_TOKEN_AMOUNT = Struct("<Q")
_TOKEN_AMOUNT_AT = 64
_START = Struct("<i")
_START_AT = 40
# tick, liquidity net and gross, fee growths outside; rewards are skipped; order phase, open orders,
# what is left of those filled in part, and their unfilled ratio.
_TICK = Struct("<i16s16s16s16s48xQQQ16s12x")
_TICKS_AT = 44
_COUNT_AT = _TICKS_AT + TICKS_PER_ARRAY * _TICK.size
_NO_LIQUIDITY = bytes(16)
_OUTSIDE = Struct("<16s16s")
_OUTSIDE_AT = 36
_ORDERS = Struct("<QQQ16s")
_ORDERS_AT = 116


class PoolKeys(NamedTuple):
    """The accounts that a pool names, base58."""

    config: str
    mint_a: str
    mint_b: str
    vault_a: str
    vault_b: str
    observation: str


class PoolFlags(NamedTuple):
    """The fields of a pool besides its keys and its position."""

    spacing: int
    status: int
    fee_on: int
    open_time: int


class ReadTick(NamedTuple):
    """An initialised tick."""

    tick: int
    net: int
    outside_a: int
    outside_b: int
    orders: Orders | None
    """The limit orders at the tick; None without any."""


@lru_cache(maxsize=1 << 12)
def base58(raw: bytes) -> str:
    """The address of 32 bytes."""
    return str(Pubkey.from_bytes(raw))


def keys(data: bytes) -> PoolKeys:
    """The accounts that a pool names."""
    return PoolKeys(*(base58(data[at : at + 32]) for at in _KEYS_AT))


def flags(data: bytes) -> PoolFlags:
    """The pool's switches."""
    return PoolFlags(
        _SPACING.unpack_from(data, _SPACING_AT)[0],
        data[_STATUS_AT],
        data[_FEE_ON_AT],
        _OPEN_TIME.unpack_from(data, _OPEN_TIME_AT)[0],
    )


def dynamic_fee(data: bytes) -> DynamicFee | None:
    """The pool's dynamic fee; None if it has none: then all its bytes are zero."""
    raw = data[_DYNAMIC_FEE]
    return DynamicFee(*_DYNAMIC_FIELDS.unpack_from(raw)) if any(raw) else None


def write_dynamic_fee(data: bytearray, fee: DynamicFee) -> None:
    """Writes what a swap changes of the dynamic fee."""
    changes = (fee.group, fee.reference, fee.volatility, fee.updated_s)
    _DYNAMIC_CHANGES.pack_into(data, _DYNAMIC_CHANGES_AT, *changes)


def bitmap(data: bytes, extension: bytes | None) -> int:
    """The joint bitmap of the tick arrays; without an extension, of those near tick 0."""
    if extension is None:
        return joint(data[_BITMAP], b"", b"")
    expect(extension, EXTENSION_DISCRIMINATOR, EXTENSION_SIZE, "a tick array bitmap extension")
    return joint(data[_BITMAP], extension[_EXTENSION_UP], extension[_EXTENSION_DOWN])


def config_rates(data: bytes) -> tuple[int, int, int]:
    """Of a config: the fee, and the protocol's and the fund's part of it; per million."""
    expect(data, CONFIG_DISCRIMINATOR, 117, "a config")
    protocol, fee, _spacing, fund = _CONFIG_RATES.unpack_from(data, _CONFIG_RATES_AT)
    return fee, protocol, fund


def token_amount(data: bytes) -> int:
    """The balance of a token account, in base units."""
    amount: int = _TOKEN_AMOUNT.unpack_from(data, _TOKEN_AMOUNT_AT)[0]
    return amount


# Most arrays are the same from slot to slot: they are read once.
@lru_cache(maxsize=512)
def tick_array(data: bytes) -> tuple[ReadTick, ...]:
    """The ticks of a tick array that have liquidity or limit orders."""
    expect(data, ARRAY_DISCRIMINATOR, ARRAY_SIZE, "a tick array")
    ticks = []
    for tick, net, gross, far_a, far_b, phase, opened, part, ratio in _ticks_of(data):
        bare = gross == _NO_LIQUIDITY
        if bare and not opened and not part:
            continue
        orders = Orders(phase, opened, part, u128(ratio), bare) if opened or part else None
        change = int.from_bytes(net, "little", signed=True)
        ticks.append(ReadTick(tick, change, u128(far_a), u128(far_b), orders))
    return tuple(ticks)


def write_outside(data: bytearray, tick: int, spacing: int, outside: tuple[int, int]) -> None:
    """Writes the fee growths outside of a tick into its tick array."""
    at = _tick_at(data, tick, spacing) + _OUTSIDE_AT
    _OUTSIDE.pack_into(data, at, *map(raw128, outside))


def write_orders(data: bytearray, tick: int, spacing: int, orders: Orders) -> None:
    """Writes the limit orders of a tick into its tick array."""
    at = _tick_at(data, tick, spacing) + _ORDERS_AT
    _ORDERS.pack_into(data, at, orders.phase, orders.open, orders.part, raw128(orders.ratio))


def write_count(data: bytearray) -> int:
    """Counts the initialised ticks of a tick array again, and writes how many there are."""
    count: int = sum(
        gross != _NO_LIQUIDITY or opened > 0 or part > 0
        for _tick, _net, gross, _far_a, _far_b, _phase, opened, part, _ratio in _ticks_of(data)
    )
    data[_COUNT_AT] = count
    return count


def _ticks_of(data: bytes | bytearray) -> Iterator[tuple[Any, ...]]:
    return _TICK.iter_unpack(memoryview(data)[_TICKS_AT:_COUNT_AT])


def _tick_at(data: bytearray, tick: int, spacing: int) -> int:
    """Where a tick lies in its tick array."""
    start = _START.unpack_from(data, _START_AT)[0]
    return int(_TICKS_AT + (tick - start) // spacing * _TICK.size)


def u128(raw: bytes) -> int:
    """Sixteen bytes as an integer."""
    return int.from_bytes(raw, "little")


def raw128(value: int) -> bytes:
    """An integer as sixteen bytes."""
    return value.to_bytes(16, "little")


def expect(data: bytes, discriminator: bytes, size: int, what: str) -> None:
    """Raises ValueError unless `data` begins and measures as an account of that kind."""
    if not data.startswith(discriminator) or len(data) < size:
        raise ValueError(f"not {what} of the Raydium CLMM")


def is_array_data(data: bytes) -> bool:
    """Whether these are a tick array's bytes."""
    return len(data) >= ARRAY_SIZE and data.startswith(ARRAY_DISCRIMINATOR)


def is_pool_data(data: bytes) -> bool:
    """Whether these are a pool's bytes."""
    return len(data) == POOL_SIZE and data.startswith(POOL_DISCRIMINATOR)
