"""Meteora DLMM: the bytes of a pair and of its bin arrays.

Offsets: the program's published interface, https://github.com/MeteoraAg/dlmm-sdk (idls/dlmm.json),
and the vectors' account bytes.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct

from solders.pubkey import Pubkey

from stages.pools.meteora.dlmm.bins import BINS_PER_ARRAY, Bin, Bins
from stages.pools.meteora.dlmm.volatility import Volatility

READ_KEPT = 512
"""Arrays remembered as bins: bytes that did not change are the same object, or equal ones."""
PAIR_SIZE = 904
PAIR_MARK = bytes.fromhex("210b3162b565b10d")
ARRAY_SIZE = 10_136
ARRAY_MARK = bytes.fromhex("5c8e5cdc059446b5")
EXTENSION_SIZE = 1_576
EXTENSION_MARK = bytes.fromhex("506f7c7137ed1205")

STATIC = Struct("<HHHHIIiiHBBB")
"""Base factor, filter and decay (s), reduction (bps), variable fee control, max volatility, min and
max bin, protocol share (bps), power of ten, function, fee mode."""
STATIC_AT = 8
VOLATILITY = Struct("<IIi4xq")
VOLATILITY_AT = 40
PAIR_TYPE_AT = 75
ACTIVE = Struct("<iHB3xB")
"""active bin, bin step (bps), status, activation type."""
ACTIVE_AT = 76
_ACTIVE_ID = Struct("<i")
MINT_X_AT, MINT_Y_AT, RESERVE_X_AT, RESERVE_Y_AT, ORACLE_AT = 88, 120, 152, 184, 552
PROTOCOL_FEES = Struct("<QQ")
PROTOCOL_FEES_AT = 216
REWARD_MINTS_AT = (264, 408)
BITMAP = slice(584, 712)
OPENS_AT = 816
TOKEN_PROGRAMS_AT = (880, 881)

_INDEX = slice(8, 16)
_ARRAY_PAIR_AT = 24
_BINS_AT = 56
_BIN = Struct("<QQQQ80xQQQ4xB3x")
_AMOUNTS = Struct("<QQ")
_ORDERS = Struct("<QQQ")
_ORDERS_WITHIN = 112
EXTENSION_PAIR_AT = 8
EXTENSION_ABOVE = slice(40, 808)
EXTENSION_BELOW = slice(808, 1_576)


def key(data: bytes, at: int) -> str:
    """The address at an offset, base58."""
    return str(Pubkey.from_bytes(data[at : at + 32]))


def is_pair(data: bytes) -> bool:
    """Whether these bytes are a pair's."""
    return len(data) == PAIR_SIZE and data.startswith(PAIR_MARK)


@lru_cache(maxsize=READ_KEPT)
def read_bins(data: bytes, pair: str, index: int) -> Bins:
    """The bins of an array. ValueError if it is another account.

    A swap changes one array or two of the seven: the others are read once.
    """
    if (
        len(data) != ARRAY_SIZE
        or not data.startswith(ARRAY_MARK)
        or int.from_bytes(data[_INDEX], "little", signed=True) != index
        or key(data, _ARRAY_PAIR_AT) != pair
    ):
        raise ValueError(f"no bin array {index} of {pair}")
    return tuple(
        Bin(x, y, low | high << 64, opened, processing, remaining, ask)
        for x, y, low, high, opened, processing, remaining, ask in _BIN.iter_unpack(data[_BINS_AT:])
    )


def write_pair(
    data: bytearray, active_id: int, volatility: Volatility, fee_x: int, fee_y: int
) -> None:
    """Writes what swaps change of a pair."""
    VOLATILITY.pack_into(data, VOLATILITY_AT, *volatility)
    _ACTIVE_ID.pack_into(data, ACTIVE_AT, active_id)
    PROTOCOL_FEES.pack_into(data, PROTOCOL_FEES_AT, fee_x, fee_y)


def write_bins(data: bytearray, bins: Bins) -> None:
    """Writes what swaps take from and leave in the bins of an array.

    What the program books for others than the next swap is left as it was: the makers' fees for
    each share, what filled orders are paid and their age, rewards.
    """
    for slot in range(BINS_PER_ARRAY):
        at, place = _BINS_AT + slot * _BIN.size, bins[slot]
        _AMOUNTS.pack_into(data, at, place.x, place.y)
        orders = place.open_orders, place.processing, place.remaining
        _ORDERS.pack_into(data, at + _ORDERS_WITHIN, *orders)
