"""How accounts are read: what is missing or of another size is a ValueError that names it."""

from __future__ import annotations

from functools import lru_cache

from solders.pubkey import Pubkey

from stages.pools.contract import Accounts

_TOKEN_ACCOUNT_SIZE = 165
_AMOUNT = slice(64, 72)


def data_of(accounts: Accounts, address: str, size: int) -> bytes:
    """The bytes of an account of this size. Raises ValueError without it."""
    account = accounts.get(address)
    if account is None:
        raise ValueError(f"{address} is not there")
    if len(account.data) != size:
        raise ValueError(f"{address} has {len(account.data)} bytes, not {size}")
    return account.data


def vault_amount(accounts: Accounts, address: str) -> int:
    """The balance of a token account, in base units; Token-2022 accounts are longer than SPL's."""
    account = accounts.get(address)
    if account is None or len(account.data) < _TOKEN_ACCOUNT_SIZE:
        raise ValueError(f"{address} is not a token account")
    return int.from_bytes(account.data[_AMOUNT], "little")


def key(data: bytes, at: int) -> str:
    """The address at an offset, base58."""
    return str(Pubkey.from_bytes(data[at : at + 32]))


@lru_cache(maxsize=16)
def authority(program: str, seed: bytes) -> str:
    """The address that a program signs for its vaults with."""
    return str(Pubkey.find_program_address([seed], Pubkey.from_string(program))[0])
