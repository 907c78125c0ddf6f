"""The account of a DAMM v2 pool, read and written.

1112 bytes, little endian. Offsets follow from the published IDL (struct Pool, aligned as in C) and
docs.meteora.ag (program accounts); each was verified in the accounts of dammv2_accounts.json.
Layout 0 does not keep the reserves: there they are the amounts in its range, rounded up. The first
swap writes them and changes the layout to 1 (damm-lim-05 of dammv2_more).
"""

from __future__ import annotations

import struct
from collections.abc import MutableMapping, Sequence

from solders.pubkey import Pubkey

from events.reason_codes import ReasonCode
from stages.pools.contract import Accounts, Unsupported
from stages.pools.meteora.damm_v2.fees import base_fee, volatility_terms
from stages.pools.meteora.damm_v2.maths import range_reserves
from stages.pools.meteora.damm_v2.pool import DammPool
from stages.pools.meteora.damm_v2.terms import Collected, DammKeys, DammTerms
from stages.pools.meteora.damm_v2.volatility import Volatility
from stages.pools.mints import check_mints

DISCRIMINATOR = bytes.fromhex("f19a6d0411b16dbc")
SIZE = 1112

_PROTOCOL_PERCENT, _COMPOUNDING_BPS, _HAS_VOLATILITY = 48, slice(54, 56), 56
_MOVED_AT, _VOLATILITY = slice(80, 88), (104, 120, 136)
"""Seconds of the last move; reference √P, accumulator, volatility reference (u128 each)."""
_MINT_A, _MINT_B, _VAULT_A, _VAULT_B = 168, 200, 232, 264
_LIQUIDITY, _SQRT_MIN, _SQRT_MAX, _SQRT_PRICE = 360, 424, 440, 456
_ACTIVATION = slice(472, 480)
_BY_TIME, _STATUS, _FLAG_A, _FLAG_B, _COLLECTS, _FEE_VERSION = 480, 481, 482, 483, 484, 486
_COLLECTED_A, _COLLECTED_B = (392, 600, 568, 488), (400, 608, 584, 520)
"""Protocol's fee to claim (u64) and ever (u64), providers' ever (u128), per liquidity (u256)."""
_RESERVE_A, _RESERVE_B, _LAYOUT = slice(680, 688), slice(688, 696), 696

_HIGHEST_FEE = {0: 500_000_000, 1: 990_000_000}
_ONLY_B, _COMPOUNDING = 1, 2
_KEEPS_RESERVES = 1
_TOKEN_PROGRAMS = {
    0: "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
    1: "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb",
}


def is_pool_data(data: bytes) -> bool:
    """Whether these are a pool's bytes."""
    return len(data) == SIZE and data[:8] == DISCRIMINATOR


def needs(address: str, accounts: Accounts) -> Sequence[str]:
    """The pool, and once that is known its mints. It keeps its own reserves: no vault is read."""
    pool = accounts.get(address)
    if pool is None or not is_pool_data(pool.data):
        return (address,)
    return (address, _key(pool.data, _MINT_A), _key(pool.data, _MINT_B))


def decode(address: str, accounts: Accounts) -> DammPool:
    """The pool. Raises Unsupported by name, ValueError for other bytes."""
    account = accounts.get(address)
    if account is None or not is_pool_data(account.data):
        raise ValueError(f"{address} is not a DAMM v2 pool")
    data = account.data
    terms = _terms(data)
    check_mints(accounts, _key(data, _MINT_A), _key(data, _MINT_B))
    liquidity, sqrt_price = _u128(data, _LIQUIDITY), _u128(data, _SQRT_PRICE)
    if not terms.compounds and not 0 < terms.sqrt_min <= sqrt_price <= terms.sqrt_max:
        raise ValueError(f"{address} is priced outside its range")
    keeps_reserves = data[_LAYOUT] == _KEEPS_RESERVES
    if keeps_reserves:
        reserves = _uint(data[_RESERVE_A]), _uint(data[_RESERVE_B])
    else:
        reserves = range_reserves(liquidity, sqrt_price, terms.sqrt_min, terms.sqrt_max)
    if terms.compounds and 0 in reserves:
        raise ValueError(f"{address} is empty")
    return DammPool(
        keys=_keys(address, account.owner, data),
        terms=terms,
        liquidity=liquidity,
        sqrt_price=sqrt_price,
        reserve_a=reserves[0],
        reserve_b=reserves[1],
        collected_a=_collected(data, _COLLECTED_A),
        collected_b=_collected(data, _COLLECTED_B),
        volatility=_volatility(data) if terms.volatility else None,
        keeps_reserves=keeps_reserves,
    )


def write(after: DammPool, accounts: MutableMapping[str, bytearray]) -> None:
    """Writes all that a swap changes in the pool's account."""
    data = accounts[after.address]
    _put_u128(data, _SQRT_PRICE, after.sqrt_price)
    for collected, places in (
        (after.collected_a, _COLLECTED_A),
        (after.collected_b, _COLLECTED_B),
    ):
        for value, at, size in zip(collected, places, (8, 8, 16, 32), strict=True):
            data[at : at + size] = value.to_bytes(size, "little")
    if after.keeps_reserves:
        data[_LAYOUT] = _KEEPS_RESERVES
        data[_RESERVE_A] = after.reserve_a.to_bytes(8, "little")
        data[_RESERVE_B] = after.reserve_b.to_bytes(8, "little")
    if after.volatility is not None:
        data[_MOVED_AT] = after.volatility.moved_at_s.to_bytes(8, "little")
        for at, value in zip(_VOLATILITY, after.volatility[1:], strict=True):
            _put_u128(data, at, value)


def _terms(data: bytes) -> DammTerms:
    collects, layout = data[_COLLECTS], data[_LAYOUT]
    known: tuple[tuple[ReasonCode, int, Sequence[int]], ...] = (
        ("collect-fee-mode", collects, (0, _ONLY_B, _COMPOUNDING)),
        ("pool-layout", layout, (0, 1)),
        ("fee-version", data[_FEE_VERSION], tuple(_HIGHEST_FEE)),
        ("activation-type", data[_BY_TIME], (0, 1)),
        ("token-program", max(data[_FLAG_A], data[_FLAG_B]), tuple(_TOKEN_PROGRAMS)),
    )
    for reason, value, values in known:
        if value not in values:
            raise Unsupported(reason, f"{value}")
    if collects == _COMPOUNDING and not layout:
        raise Unsupported("pool-layout", "compounding, but its reserves are not kept")
    activation = _uint(data[_ACTIVATION])
    schedule, limiter = base_fee(data, activation)
    if limiter and collects != _ONLY_B:
        raise Unsupported("rate-limiter", "where fees are not in b only")
    return DammTerms(
        enabled=data[_STATUS] == 0,
        activation=activation,
        by_time=data[_BY_TIME] == 1,
        sqrt_min=_u128(data, _SQRT_MIN),
        sqrt_max=_u128(data, _SQRT_MAX),
        collects_b=collects != 0,
        compounding_bps=_uint(data[_COMPOUNDING_BPS]) if collects == _COMPOUNDING else 0,
        compounds=collects == _COMPOUNDING,
        protocol_percent=data[_PROTOCOL_PERCENT],
        highest_fee=_HIGHEST_FEE[data[_FEE_VERSION]],
        schedule=schedule,
        limiter=limiter,
        volatility=volatility_terms(data) if data[_HAS_VOLATILITY] else None,
    )


def _keys(address: str, program: str, data: bytes) -> DammKeys:
    return DammKeys(
        address=address,
        program=program,
        mint_a=_key(data, _MINT_A),
        mint_b=_key(data, _MINT_B),
        vault_a=_key(data, _VAULT_A),
        vault_b=_key(data, _VAULT_B),
        token_program_a=_TOKEN_PROGRAMS[data[_FLAG_A]],
        token_program_b=_TOKEN_PROGRAMS[data[_FLAG_B]],
    )


def _volatility(data: bytes) -> Volatility:
    return Volatility(_uint(data[_MOVED_AT]), *(_u128(data, at) for at in _VOLATILITY))


def _collected(data: bytes, places: Sequence[int]) -> Collected:
    sizes = zip(places, (8, 8, 16, 32), strict=True)
    return Collected(*(_uint(data[at : at + size]) for at, size in sizes))


def _key(data: bytes, at: int) -> str:
    return str(Pubkey.from_bytes(data[at : at + 32]))


def _uint(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _u128(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 16], "little")


def _put_u128(data: bytearray, at: int, value: int) -> None:
    struct.pack_into("<QQ", data, at, value & (2**64 - 1), value >> 64)
