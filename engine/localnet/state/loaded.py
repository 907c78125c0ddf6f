"""The bytes of account data that a transaction loads, by SIMD-0186. Pure.

Each account that it names counts its data and 64 bytes, and so does the programdata account of each
program of the upgradeable loader. An account that does not exist counts 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from engine.localnet.state.accounts import Account
from engine.localnet.state.addresses import BPF_LOADER, CLOCK_SYSVAR, text

ACCOUNT_BYTES = 64
"""Counted for each account besides its data."""
CLOCK_BYTES = 40
PROGRAM_TAG, PROGRAMDATA_TAG = b"\x02\0\0\0", b"\x03\0\0\0"
PROGRAM_BYTES = 36
"""Of an upgradeable program's account: the tag, then the address of its programdata."""


def loaded_bytes(keys: Iterable[str], get: Callable[[str], Account | None]) -> int:
    """The bytes that a transaction of these keys loads."""
    addresses = set(keys)
    for key in tuple(addresses):
        account = get(key)
        if account is not None and (behind := programdata_of(account)):
            addresses.add(behind)
    total = 0
    for address in addresses:
        account = get(address)
        if account is not None:
            total += ACCOUNT_BYTES + len(account.data)
        elif address == CLOCK_SYSVAR:  # it is built when it is read
            total += ACCOUNT_BYTES + CLOCK_BYTES
    return total


def programdata_of(account: Account) -> str:
    """The address of a program's programdata account; empty for any other account."""
    data = account.data
    if account.owner != BPF_LOADER or len(data) < PROGRAM_BYTES or data[:4] != PROGRAM_TAG:
        return ""
    return text(data[4:PROGRAM_BYTES])
