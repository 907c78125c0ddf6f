"""Token-2022 mints for the tests, byte by byte, and the extensions that they may have."""

from __future__ import annotations

import struct
from typing import NamedTuple

from stages.pools.contract import RawAccount
from stages.pools.mints import TOKEN_2022_PROGRAM

KEY = bytes(range(32))
NONE = bytes(32)


class Extension(NamedTuple):
    """One entry after byte 166 of a mint."""

    number: int
    value: bytes

    @property
    def data(self) -> bytes:
        """As it stands in the account."""
        return struct.pack("<HH", self.number, len(self.value)) + self.value


def mint(
    *extensions: Extension,
    decimals: int = 6,
    mint_authority: bytes = NONE,
    freeze_authority: bytes = NONE,
    spare: int = 0,
    kind: int = 1,
) -> RawAccount:
    """A mint; `spare` zero bytes follow its extensions."""
    base = struct.pack(
        "<I32sQBBI32s",
        mint_authority != NONE,
        mint_authority,
        10**17,
        decimals,
        1,
        freeze_authority != NONE,
        freeze_authority,
    )
    tail = b"".join(extension.data for extension in extensions)
    return RawAccount(TOKEN_2022_PROGRAM, base + bytes(83) + bytes([kind]) + tail + bytes(spare))


def transfer_fee(
    basis_points: int,
    maximum: int = 2**64 - 1,
    *,
    authority: bytes = NONE,
    epoch: int = 0,
    older: tuple[int, int] = (0, 0),
) -> Extension:
    """The fee from `epoch` on; `older` is (basis points, maximum) before that."""
    value = struct.pack(
        "<32s32sQQQHQQH", authority, NONE, 0, 0, older[1], older[0], epoch, maximum, basis_points
    )
    return Extension(1, value)


def hook(program: bytes, authority: bytes = NONE) -> Extension:
    """A transfer hook."""
    return Extension(14, authority + program)


def pausable(paused: bool, authority: bytes = NONE) -> Extension:
    """Whether the mint is paused, and who may pause it."""
    return Extension(26, authority + bytes([paused]))


def default_state(state: int) -> Extension:
    """1: new accounts are usable; 2: they are frozen."""
    return Extension(6, bytes([state]))


CLOSE_AUTHORITY = Extension(3, KEY)
NON_TRANSFERABLE = Extension(9, b"")
INTEREST_BEARING = Extension(10, bytes(52))
DELEGATE, NO_DELEGATE = Extension(12, KEY), Extension(12, NONE)
METADATA_POINTER = Extension(18, bytes(64))
SCALED_AMOUNT = Extension(25, bytes(56))
PERMISSIONED_BURN = Extension(28, KEY)
UNKNOWN = Extension(999, bytes(8))
