"""Which mints may be quoted: a transfer must move exactly the amount that it names.

A Token-2022 mint keeps its extensions after byte 165 (where a token account would end): at 165 the
kind of account (1 is a mint), from 166 on entries {type u16, length u16, value}, little endian,
until type 0 or the end. Numbers: https://docs.rs/spl-token-2022-interface, enum ExtensionType.
"""

from __future__ import annotations

from collections.abc import Iterator

from stages.venues.pool import Accounts, RawAccount, Unsupported

TOKEN_PROGRAM = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"  # noqa: S105 - an address
TOKEN_2022_PROGRAM = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"  # noqa: S105 - an address

_MINT_SIZE = 82
_KIND_AT = 165
_MINT_KIND = 1
# By extension: why its mint is refused; empty where transfers stay exact.
_EXTENSIONS = {
    1: "transfer-fee-mint",
    3: "",  # close authority
    4: "",  # confidential transfers: ours are not
    6: "",  # default account state
    9: "non-transferable-mint",
    10: "",  # interest: changes what is shown, not what is moved
    12: "",  # permanent delegate
    14: "transfer-hook-mint",
    16: "transfer-fee-mint",  # confidential transfers' own fee
    18: "",  # metadata pointer
    19: "",  # metadata
    20: "",  # group pointer
    21: "",  # group
    22: "",  # member pointer
    23: "",  # member
    24: "",  # confidential mint and burn
    25: "",  # scaled amounts: shown, not moved
    26: "",  # pausable
}


def check_mints(accounts: Accounts, *mints: str) -> None:
    """As `check_mint`, of those that were read: `Family.needs` names them all."""
    for mint in mints:
        if mint in accounts:
            check_mint(mint, accounts[mint])


def check_mint(address: str, account: RawAccount) -> None:
    """Raise Unsupported by name if transfers of this mint take fees, run hooks or may do so.

    An extension that is not known here is refused as well. ValueError if it is no mint.
    """
    if account.owner == TOKEN_PROGRAM and len(account.data) == _MINT_SIZE:
        return
    if account.owner != TOKEN_2022_PROGRAM or len(account.data) < _MINT_SIZE:
        raise ValueError(f"{address} is no mint")
    for extension in _extensions(address, account.data):
        reason = _EXTENSIONS.get(extension, "unknown-mint-extension")
        if reason:
            raise Unsupported(reason, f"{address} has extension {extension}")


def _extensions(address: str, data: bytes) -> Iterator[int]:
    if len(data) == _MINT_SIZE:
        return
    if len(data) <= _KIND_AT or data[_KIND_AT] != _MINT_KIND:
        raise ValueError(f"{address} is no mint")
    at = _KIND_AT + 1
    while at + 4 <= len(data):
        extension = int.from_bytes(data[at : at + 2], "little")
        if extension == 0:
            return
        yield extension
        at += 4 + int.from_bytes(data[at + 2 : at + 4], "little")
    if at > len(data):
        raise ValueError(f"{address} ends within an extension")
