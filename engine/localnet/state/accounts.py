"""Accounts, and the bytes of mints and token accounts."""

from __future__ import annotations

from typing import NamedTuple

from engine.localnet.state import addresses
from engine.localnet.state.addresses import TOKEN, TOKEN_2022, WSOL, raw, rent_exempt, text

MINT_BYTES = 82
TOKEN_BYTES = 165
TOKEN_RENT = rent_exempt(TOKEN_BYTES)
U64_MAX = 2**64 - 1
_MINT_KIND, _ACCOUNT_KIND = 1, 2
"""At byte 165 of accounts with extensions."""


class Account(NamedTuple):
    """One account, immutable."""

    lamports: int
    owner: str = addresses.SYSTEM
    data: bytes = b""
    executable: bool = False


class TokenAccount(NamedTuple):
    """A token account. Amounts are base units; `native` is the rent reserve of wrapped SOL."""

    mint: str
    owner: str
    amount: int
    native: int | None
    frozen: bool


def is_token_account(account: Account) -> bool:
    """Whether this is an initialised account of one of the token programs."""
    if not _may_be(account, TOKEN_BYTES, _ACCOUNT_KIND):
        return False
    return account.data[108] != 0


def _may_be(account: Account, size: int, kind: int) -> bool:
    """Whether a token program owns data of this kind, or of this size without extensions."""
    data = account.data
    if account.owner == TOKEN_2022 and len(data) > TOKEN_BYTES:
        return data[TOKEN_BYTES] == kind
    return account.owner in (TOKEN, TOKEN_2022) and len(data) == size


def read_token(data: bytes) -> TokenAccount:
    """Decodes the bytes of a token account."""
    native = int.from_bytes(data[113:121], "little") if data[109] else None
    amount = int.from_bytes(data[64:72], "little")
    return TokenAccount(text(data[:32]), text(data[32:64]), amount, native, data[108] == 2)


def amount_of(account: Account | None) -> int:
    """The amount of a token account; 0 for none."""
    return int.from_bytes(account.data[64:72], "little") if account else 0


def with_amount(account: Account, amount: int, lamports: int = 0) -> Account:
    """The token account with another amount, and `lamports` added."""
    data = account.data
    data = data[:64] + amount.to_bytes(8, "little") + data[72:]
    return Account(account.lamports + lamports, account.owner, data)


def token_account(
    mint: str, owner: str, amount: int = 0, lamports: int = 0, rent: int = TOKEN_RENT
) -> Account:
    """A new token account. One of wrapped SOL holds its amount in lamports too.

    `lamports`: its balance; 0: exactly the rent.
    """
    data = bytearray(TOKEN_BYTES)
    data[:32], data[32:64] = raw(mint), raw(owner)
    data[108] = 1
    held = lamports or rent
    if mint == WSOL:
        data[109] = 1
        data[113:121] = rent.to_bytes(8, "little")
        amount = max(amount, held - rent)
        held = amount + rent
    data[64:72] = amount.to_bytes(8, "little")
    return Account(held, TOKEN, bytes(data))


def mint_account(decimals: int, supply: int, authority: str | None) -> Account:
    """A mint; without an authority no more can be minted."""
    data = bytearray(MINT_BYTES)
    if authority is not None:
        data[0] = 1
        data[4:36] = raw(authority)
    data[36:44] = supply.to_bytes(8, "little")
    data[44], data[45] = decimals, 1
    return Account(rent_exempt(MINT_BYTES), TOKEN, bytes(data))


def is_mint(account: Account | None) -> bool:
    """Whether this is an initialised mint."""
    if account is None or not _may_be(account, MINT_BYTES, _MINT_KIND):
        return False
    return account.data[45] == 1


def decimals_of(account: Account) -> int:
    """The decimals of a mint."""
    return account.data[44]
