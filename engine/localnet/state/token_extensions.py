"""Extensions of Token-2022 accounts: those that a mint requires, and withheld transfer fees.

A token account of Token-2022 without extensions has the 165 bytes of a classic one. With extensions
its kind (2) follows at 165, and entries {type u16, length u16, value} from 166. Source:
https://docs.rs/spl-token-2022-interface, `ExtensionType::get_required_init_account_extensions`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from engine.localnet.state.accounts import TOKEN_BYTES, Account
from engine.localnet.state.addresses import TOKEN_2022

KIND_AT = 165
ACCOUNT_KIND = 2
TRANSFER_FEE_AMOUNT, IMMUTABLE_OWNER = 2, 7
_DEFAULT_STATE = 6
_ASKED = {1: (TRANSFER_FEE_AMOUNT, 8), 9: (13, 0), 14: (15, 1), 26: (27, 0)}
"""By extension of the mint: type and size of the extension that its accounts have."""


class Entry(NamedTuple):
    """An extension: its type, and where its value lies."""

    number: int
    at: int
    size: int


def entries(account: Account) -> Iterator[Entry]:
    """The extensions of a mint or token account."""
    data, at = account.data, KIND_AT + 1
    while account.owner == TOKEN_2022 and at + 4 <= len(data):
        number, size = (int.from_bytes(data[i : i + 2], "little") for i in (at, at + 2))
        if number == 0:
            return
        yield Entry(number, at + 4, size)
        at += 4 + size


def token_account_tail(mint: Account, *, immutable_owner: bool) -> bytes:
    """The bytes of a new token account after the first 165; empty without extensions."""
    asked = [(IMMUTABLE_OWNER, 0)] * (immutable_owner and mint.owner == TOKEN_2022)
    asked += [_ASKED[entry.number] for entry in entries(mint) if entry.number in _ASKED]
    tail = b"".join(
        number.to_bytes(2, "little") + size.to_bytes(2, "little") + bytes(size)
        for number, size in asked
    )
    return bytes([ACCOUNT_KIND]) + tail if tail else b""


def token_account_size(mint: Account, *, immutable_owner: bool) -> int:
    """The bytes of a new token account of the mint."""
    return TOKEN_BYTES + len(token_account_tail(mint, immutable_owner=immutable_owner))


def first_state(mint: Account) -> int:
    """The state of new accounts: 1 usable, 2 frozen."""
    return next((mint.data[e.at] for e in entries(mint) if e.number == _DEFAULT_STATE), 1)


def with_withheld(account: Account, fee: int) -> Account | None:
    """The token account with `fee` more withheld; None where it lacks the extension."""
    place = next((e.at for e in entries(account) if e.number == TRANSFER_FEE_AMOUNT), None)
    if place is None:
        return None
    data = bytearray(account.data)
    held = int.from_bytes(data[place : place + 8], "little") + fee
    data[place : place + 8] = held.to_bytes(8, "little")
    return account._replace(data=bytes(data))
