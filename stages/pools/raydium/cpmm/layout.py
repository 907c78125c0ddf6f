"""The accounts of a Raydium CPMM pool, read and written.

Offsets: `PoolState` and `AmmConfig` of https://github.com/raydium-io/raydium-cp-swap
(programs/cp-swap/src/states/pool.rs, config.rs).
"""

from __future__ import annotations

import struct
from collections.abc import MutableMapping, Sequence

from stages.pools.contract import PPM, Accounts, RawAccount, Unsupported
from stages.pools.mints import check_mint
from stages.pools.raydium.cpmm.pool import CpmmKeys, CpmmPool, CpmmTerms, Owed, Way
from stages.pools.raydium.reading import data_of, key, vault_amount

DISCRIMINATOR = bytes.fromhex("f7ede3f5d7c3de46")
SIZE = 637
_CONFIG_SIZE = 236

_CONFIG, _VAULT_A, _VAULT_B = 8, 72, 104
_MINT_A, _MINT_B, _PROGRAM_A, _PROGRAM_B, _OBSERVATION = 168, 200, 232, 264, 296
_STATUS = 329
_FEES = struct.Struct("<4Q")
"""Protocol's a and b, fund's a and b."""
_FEES_AT = 341
_OPEN_TIME = slice(373, 381)
_CREATOR_FEE_ON, _CREATOR_FEE_ENABLED = 389, 390
_CREATOR_FEES = struct.Struct("<2Q")
_CREATOR_FEES_AT = 397
_RATES = struct.Struct("<3Q")
"""Of the config: trade fee in millionths; protocol's and fund's share of it."""
_RATES_AT = 12
_CREATOR_RATE = slice(108, 116)


def is_pool_data(data: bytes) -> bool:
    """Whether these are a pool's bytes."""
    return len(data) == SIZE and data[:8] == DISCRIMINATOR


def needs(address: str, accounts: Accounts) -> Sequence[str]:
    """The pool, and once that is known: config, vaults, mints."""
    pool = accounts.get(address)
    if pool is None or not is_pool_data(pool.data):
        return (address,)
    named = (_CONFIG, _VAULT_A, _VAULT_B, _MINT_A, _MINT_B)
    return (address, *(key(pool.data, at) for at in named))


def decode(address: str, accounts: Accounts) -> CpmmPool:
    """The pool. Raises Unsupported by name, ValueError for other bytes."""
    data = data_of(accounts, address, SIZE)
    if not is_pool_data(data):
        raise ValueError(f"{address} is not a CPMM pool")
    keys = _keys(address, accounts[address].owner, data)
    for mint in (keys.mint_a, keys.mint_b):
        check_mint(mint, accounts.get(mint) or RawAccount("", b""))
    protocol_a, protocol_b, fund_a, fund_b = _FEES.unpack_from(data, _FEES_AT)
    creator_a, creator_b = _CREATOR_FEES.unpack_from(data, _CREATOR_FEES_AT)
    return CpmmPool(
        keys=keys,
        terms=_terms(address, data, data_of(accounts, keys.config, _CONFIG_SIZE)),
        reserve_a=vault_amount(accounts, keys.vault_a) - protocol_a - fund_a - creator_a,
        reserve_b=vault_amount(accounts, keys.vault_b) - protocol_b - fund_b - creator_b,
        owed_a=Owed(protocol_a, fund_a, creator_a),
        owed_b=Owed(protocol_b, fund_b, creator_b),
    )


def write(after: CpmmPool, accounts: MutableMapping[str, bytearray]) -> None:
    """Writes the fees owed: a swap changes nothing else in the pool account but the epoch."""
    data, a, b = accounts[after.address], after.owed_a, after.owed_b
    _FEES.pack_into(data, _FEES_AT, a.protocol, b.protocol, a.fund, b.fund)
    _CREATOR_FEES.pack_into(data, _CREATOR_FEES_AT, a.creator, b.creator)


def _keys(address: str, program: str, data: bytes) -> CpmmKeys:
    return CpmmKeys(
        address=address,
        program=program,
        config=key(data, _CONFIG),
        vault_a=key(data, _VAULT_A),
        vault_b=key(data, _VAULT_B),
        mint_a=key(data, _MINT_A),
        mint_b=key(data, _MINT_B),
        token_program_a=key(data, _PROGRAM_A),
        token_program_b=key(data, _PROGRAM_B),
        observation=key(data, _OBSERVATION),
    )


def _terms(address: str, data: bytes, config: bytes) -> CpmmTerms:
    trade, protocol_rate, fund_rate = _RATES.unpack_from(config, _RATES_AT)
    config_creator = int.from_bytes(config[_CREATOR_RATE], "little")
    creator = config_creator if data[_CREATOR_FEE_ENABLED] else 0
    if trade + creator >= PPM:
        raise ValueError(f"{address} takes all of the input as a fee")
    a_to_b, b_to_a = _ways(trade, creator, data[_CREATOR_FEE_ON])
    if config_creator and trade + creator == 0:
        raise Unsupported("zero-fee-pool", f"{address}: the program divides its fee by 0")
    return CpmmTerms(
        a_to_b=a_to_b,
        b_to_a=b_to_a,
        protocol_rate=protocol_rate,
        fund_rate=fund_rate,
        status=data[_STATUS],
        open_time_s=int.from_bytes(data[_OPEN_TIME], "little"),
        sells_dust=config_creator > 0,
    )


def _ways(trade: int, creator: int, creator_fee_on: int) -> tuple[Way, Way]:
    """Fees each way. The creator's is taken: 0 at the input, 1 in token a, 2 in token b."""
    at_input, at_output = Way(trade + creator, creator, 0), Way(trade, 0, creator)
    by_mode = {0: (at_input, at_input), 1: (at_input, at_output), 2: (at_output, at_input)}
    if creator_fee_on not in by_mode:
        raise Unsupported("creator-fee-mode", f"mode {creator_fee_on}")
    return by_mode[creator_fee_on]
