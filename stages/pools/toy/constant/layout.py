"""The account of a pool: a tag of 8 bytes, then mint a, mint b, vault a, vault b."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence

from solders.pubkey import Pubkey

from stages.pools.contract import Accounts
from stages.pools.mints import check_mints
from stages.pools.toy.constant.pool import ConstantPool

TAG = b"constant"
SIZE = 136
_KEYS = (8, 40, 72, 104)
_AMOUNT = slice(64, 72)
"""Of an SPL token account."""


def is_pool_data(data: bytes) -> bool:
    """Whether these are the bytes of a pool."""
    return len(data) == SIZE and data.startswith(TAG)


def needs(address: str, accounts: Accounts) -> Sequence[str]:
    """The pool, then its mints and vaults."""
    pool = accounts.get(address)
    if pool is None or not is_pool_data(pool.data):
        return (address,)
    return (address, *_addresses(pool.data))


def decode(address: str, accounts: Accounts) -> ConstantPool:
    """The pool. Raises ValueError for bytes that are no such pool."""
    pool = accounts.get(address)
    if pool is None or not is_pool_data(pool.data):
        raise ValueError(f"{address} is not a pool of this program")
    mint_a, mint_b, vault_a, vault_b = _addresses(pool.data)
    check_mints(accounts, mint_a, mint_b)
    reserves = [_amount(accounts, vault) for vault in (vault_a, vault_b)]
    return ConstantPool(address, pool.owner, mint_a, mint_b, vault_a, vault_b, *reserves)


def write(after: ConstantPool, accounts: MutableMapping[str, bytearray]) -> None:
    """Writes nothing: a swap changes the vaults alone."""


def _addresses(data: bytes) -> list[str]:
    return [str(Pubkey.from_bytes(data[at : at + 32])) for at in _KEYS]


def _amount(accounts: Accounts, vault: str) -> int:
    account = accounts.get(vault)
    if account is None:
        raise ValueError(f"{vault} is not there")
    return int.from_bytes(account.data[_AMOUNT], "little")
