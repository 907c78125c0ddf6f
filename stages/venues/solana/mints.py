"""Whether a mint is what the POOLS file says, and one whose transfers arrive whole. Pure.

Wrong decimals would move a thousandfold of what was meant, so the chain has the last word.
"""

from __future__ import annotations

from collections.abc import Iterator

from stages.venues.pool import RawAccount
from stages.venues.solana.pools_file import TokenEntry

NO_MINT = "no-such-mint"
MINT_BYTES = 82
_DECIMALS_AT = 44
_INITIALIZED_AT = 45
_EXTENSIONS_AT = 166
"""Token-2022: padded to a token account's size, one byte says `mint`, then type, length, value."""

REFUSED_EXTENSIONS = {
    1: "transfer-fee-mint",
    4: "confidential-mint",
    6: "default-frozen-mint",
    9: "non-transferable-mint",
    10: "interest-bearing-mint",
    12: "permanent-delegate-mint",
    14: "transfer-hook-mint",
    25: "scaled-amount-mint",
    26: "pausable-mint",
}
"""By extension type: what a transfer moves may differ from what it says, or be undone."""


def mint_fault(account: RawAccount | None, token: TokenEntry) -> str:
    """Why the token must not be traded, as a stable code; empty if it may."""
    if account is None or len(account.data) < MINT_BYTES or not account.data[_INITIALIZED_AT]:
        return NO_MINT
    if account.owner != token.program_id:
        return "token-program-mismatch"
    if account.data[_DECIMALS_AT] != token.decimals:
        return "token-decimals-mismatch"
    return next((REFUSED_EXTENSIONS[kind] for kind in _extensions(account.data)), "")


def _extensions(data: bytes) -> Iterator[int]:
    """The types of the mint's refused extensions."""
    at = _EXTENSIONS_AT
    while at + 4 <= len(data):
        kind = int.from_bytes(data[at : at + 2], "little")
        if kind in REFUSED_EXTENSIONS:
            yield kind
        at += 4 + int.from_bytes(data[at + 2 : at + 4], "little")
