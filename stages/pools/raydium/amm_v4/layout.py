"""The accounts of a Raydium AMM v4 pool, read and written.

Offsets: `AmmInfo` of https://github.com/raydium-io/raydium-amm (program/src/state.rs). It has no
discriminator: owner and size identify it. The program takes SPL Token mints only, so that no mint
is checked.
"""

from __future__ import annotations

import struct
from collections.abc import MutableMapping, Sequence

from stages.pools.contract import Accounts
from stages.pools.raydium.amm_v4.pool import AmmV4Keys, AmmV4Pool, AmmV4Terms
from stages.pools.raydium.reading import data_of, key, vault_amount

SIZE = 752
_STATUS = struct.Struct("<Q")
_FEES = struct.Struct("<2Q")
"""Numerator and denominator of the swap fee."""
_FEES_AT = 176
_PROFITS = struct.Struct("<2Q")
"""Profit to be taken: coin, pc."""
_PROFITS_AT = 192
_OPEN_TIME = slice(224, 232)
_VAULT_A, _VAULT_B, _MINT_A, _MINT_B = 336, 368, 400, 432


def is_pool_data(data: bytes) -> bool:
    """Whether these can be a pool's bytes: the program marks them by nothing but their size."""
    return len(data) == SIZE


def needs(address: str, accounts: Accounts) -> Sequence[str]:
    """The pool, and once that is known its vaults."""
    pool = accounts.get(address)
    if pool is None or len(pool.data) != SIZE:
        return (address,)
    return (address, key(pool.data, _VAULT_A), key(pool.data, _VAULT_B))


def decode(address: str, accounts: Accounts) -> AmmV4Pool:
    """The pool. Raises ValueError for other bytes."""
    data = data_of(accounts, address, SIZE)
    keys = AmmV4Keys(
        address=address,
        program=accounts[address].owner,
        vault_a=key(data, _VAULT_A),
        vault_b=key(data, _VAULT_B),
        mint_a=key(data, _MINT_A),
        mint_b=key(data, _MINT_B),
    )
    numerator, denominator = _FEES.unpack_from(data, _FEES_AT)
    if numerator >= denominator:
        raise ValueError(f"{address} takes all of the input as a fee")
    profit_a, profit_b = _PROFITS.unpack_from(data, _PROFITS_AT)
    open_time_s = int.from_bytes(data[_OPEN_TIME], "little")
    return AmmV4Pool(
        keys=keys,
        terms=AmmV4Terms(numerator, denominator, open_time_s, profit_a, profit_b),
        status=_STATUS.unpack_from(data)[0],
        reserve_a=vault_amount(accounts, keys.vault_a) - profit_a,
        reserve_b=vault_amount(accounts, keys.vault_b) - profit_b,
    )


def write(after: AmmV4Pool, accounts: MutableMapping[str, bytearray]) -> None:
    """Writes the status. A swap also changes the epoch and the totals of swapped amounts.

    Those are not read here.
    """
    _STATUS.pack_into(accounts[after.address], 0, after.status)
