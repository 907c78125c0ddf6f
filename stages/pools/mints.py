"""What a mint says about trading its token: whether, at which fees, and who may interfere. Pure.

A mint has 82 bytes: authority to mint (u32 tag, address), supply, decimals, initialised, authority
to freeze (u32 tag, address). A Token-2022 mint keeps its extensions after byte 165 (where a token
account would end): at 165 the kind of account (1 is a mint), from 166 on entries {type u16,
length u16, value}, little endian, until type 0 or the end. Of entries of one type the first counts.
Numbers and layouts: https://docs.rs/spl-token-2022-interface, enum ExtensionType.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from events.reason_codes import MaybeReason, ReasonCode
from stages.pools.contract import Accounts, RawAccount, Unsupported
from stages.pools.transfer_fees import TransferFee, TransferFees

TOKEN_PROGRAM = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"  # noqa: S105 - an address
TOKEN_2022_PROGRAM = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"  # noqa: S105 - an address

MINT_SIZE = 82
PAUSED: ReasonCode = "token-paused"
UNKNOWN: ReasonCode = "unknown-mint-extension"

_KIND_AT = 165
_MINT_KIND = 1
_MINT_AUTHORITY, _FREEZE_AUTHORITY = slice(0, 4), slice(46, 50)
_FEE_CONFIG = Struct("<32s32sQQQHQQH")
"""Authority to set the fee, authority to withdraw, withheld, then the older and the newer fee:
epoch, maximum, basis points."""
_NO_KEY = bytes(32)
_FROZEN = 2


class Mint(NamedTuple):
    """The properties of a mint that matter for trading."""

    refusal: MaybeReason = ""
    """Why its token is not traded, as a stable code; empty if it may be."""
    detail: str = ""
    fees: TransferFees = TransferFees()
    warnings: tuple[str, ...] = ()
    """Codes of `events.token_warnings.TEXTS`."""


class _Finding(NamedTuple):
    """The effect of one extension."""

    refusal: MaybeReason = ""
    warnings: tuple[str, ...] = ()
    fees: TransferFees | None = None


class _Extension(NamedTuple):
    size: int | None
    """Of the value, in bytes; None where it varies or does not matter."""
    read: Callable[[bytes], _Finding]


def read_mint(address: str, account: RawAccount) -> Mint:
    """The mint. Raises ValueError if the account is none."""
    try:
        return _read(account)
    except ValueError as error:
        raise ValueError(f"{address} {error}") from None


def check_mint(address: str, account: RawAccount) -> None:
    """Raises Unsupported by name if the token is not traded. ValueError if it is not a mint."""
    mint = read_mint(address, account)
    if mint.refusal:
        raise Unsupported(mint.refusal, f"{address} {mint.detail}")


def check_mints(accounts: Accounts, *mints: str) -> None:
    """As `check_mint`, of those that were read: `Family.needs` names them all."""
    for mint in mints:
        if mint in accounts:
            check_mint(mint, accounts[mint])


@lru_cache(maxsize=1_024)  # the same bytes come again with every slot and pool
def _read(account: RawAccount) -> Mint:
    data = account.data
    if account.owner == TOKEN_PROGRAM and len(data) == MINT_SIZE:
        return Mint(warnings=_authorities(data))
    if account.owner != TOKEN_2022_PROGRAM or len(data) < MINT_SIZE:
        raise ValueError("is not a mint")
    refusal: MaybeReason = ""
    detail, fees = "", TransferFees()
    warnings = list(_authorities(data))
    for number, value in _first_of_each(data).items():
        finding = _finding(number, value)
        if finding.refusal and not refusal:
            refusal, detail = finding.refusal, f"has extension {number}"
        fees = finding.fees or fees
        warnings += finding.warnings
    return Mint(refusal, detail, fees, tuple(warnings))


def _authorities(data: bytes) -> tuple[str, ...]:
    """Of the mint itself. An authority counts where its tag is set."""
    named = (("mint-authority", _MINT_AUTHORITY), ("freeze-authority", _FREEZE_AUTHORITY))
    return tuple(warning for warning, tag in named if any(data[tag]))


def _first_of_each(data: bytes) -> dict[int, bytes]:
    first: dict[int, bytes] = {}
    for number, value in _extensions(data):
        first.setdefault(number, value)
    return first


def _extensions(data: bytes) -> Iterator[tuple[int, bytes]]:
    if len(data) == MINT_SIZE:
        return
    if len(data) <= _KIND_AT or data[_KIND_AT] != _MINT_KIND:
        raise ValueError("is not a mint")
    at = _KIND_AT + 1
    while at + 4 <= len(data):
        number = int.from_bytes(data[at : at + 2], "little")
        if number == 0:
            return
        start = at + 4
        at = start + int.from_bytes(data[at + 2 : start], "little")
        if at > len(data):
            raise ValueError("ends within an extension")
        yield number, data[start:at]


def _finding(number: int, value: bytes) -> _Finding:
    known = _EXTENSIONS.get(number)
    if known is None:
        return _Finding(UNKNOWN)
    if known.size is not None and len(value) != known.size:
        raise ValueError(f"has extension {number} of {len(value)} bytes")
    return known.read(value)


def _harmless(_value: bytes) -> _Finding:
    return _Finding()


def _always(refusal: MaybeReason = "", *warnings: str) -> Callable[[bytes], _Finding]:
    return lambda _value: _Finding(refusal, warnings)


def _if_key(warning: str) -> Callable[[bytes], _Finding]:
    """Warns where the address that the value begins with is set."""
    return lambda value: _Finding(warnings=(warning,) if value[:32] != _NO_KEY else ())


def _transfer_fee(value: bytes) -> _Finding:
    authority, _, _, *numbers = _FEE_CONFIG.unpack(value)
    fees = TransferFees(TransferFee(*numbers[:3]), TransferFee(*numbers[3:]))
    if max(fees.older.basis_points, fees.newer.basis_points) > 10_000:
        raise ValueError("charges more than it transfers")
    warnings: tuple[str, ...] = ("transfer-fee",) if fees.charges else ()
    if authority != _NO_KEY:
        warnings += ("transfer-fee-authority",)
    return _Finding(warnings=warnings, fees=fees)


def _transfer_hook(value: bytes) -> _Finding:
    refusal: MaybeReason = "transfer-hook-mint" if value[32:] != _NO_KEY else ""
    return _if_key("transfer-hook-authority")(value)._replace(refusal=refusal)


def _pausable(value: bytes) -> _Finding:
    refusal: MaybeReason = PAUSED if value[32] else ""
    return _if_key("pausable")(value)._replace(refusal=refusal)


def _default_state(value: bytes) -> _Finding:
    return _Finding(warnings=("default-frozen",) if value[0] == _FROZEN else ())


_EXTENSIONS: Mapping[int, _Extension] = {
    1: _Extension(_FEE_CONFIG.size, _transfer_fee),
    3: _Extension(None, _harmless),  # close authority: only a mint without supply is closed
    4: _Extension(None, _harmless),  # confidential transfers: ours are not
    6: _Extension(1, _default_state),
    9: _Extension(None, _always("non-transferable-mint")),
    10: _Extension(None, _always("", "interest-bearing")),
    12: _Extension(32, _if_key("permanent-delegate")),
    14: _Extension(64, _transfer_hook),
    16: _Extension(None, _harmless),  # the fee of confidential transfers
    18: _Extension(None, _harmless),  # metadata pointer
    19: _Extension(None, _harmless),  # metadata
    20: _Extension(None, _harmless),  # group pointer
    21: _Extension(None, _harmless),  # group
    22: _Extension(None, _harmless),  # member pointer
    23: _Extension(None, _harmless),  # member
    24: _Extension(None, _harmless),  # confidential mint and burn
    25: _Extension(None, _always("", "scaled-amount")),
    26: _Extension(33, _pausable),
    28: _Extension(None, _harmless),  # burning needs an authority: swaps do not burn
}
"""Extensions of mints by number. One that is not here is refused."""
