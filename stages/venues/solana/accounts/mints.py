"""Whether a mint agrees with the POOLS file and its token may be traded. Pure.

Wrong decimals would move a thousandfold of the intended amount, so the chain's value decides.
"""

from __future__ import annotations

from events.reason_codes import MaybeReason, ReasonCode
from stages.pools.contract import RawAccount
from stages.pools.mints import read_mint
from stages.venues.solana.accounts.pools_file import TokenEntry

NO_MINT: ReasonCode = "no-such-mint"
MINT_BYTES = 82
_DECIMALS_AT = 44
_INITIALIZED_AT = 45


def mint_fault(account: RawAccount | None, token: TokenEntry) -> MaybeReason:
    """Why the token must not be traded, as a stable code; empty if it may."""
    if account is None or len(account.data) < MINT_BYTES or not account.data[_INITIALIZED_AT]:
        return NO_MINT
    if account.owner != token.program_id:
        return "token-program-mismatch"
    if account.data[_DECIMALS_AT] != token.decimals:
        return "token-decimals-mismatch"
    try:
        return read_mint(token.mint, account).refusal
    except ValueError:
        return "mint-unreadable"


def mint_warnings(account: RawAccount | None, token: TokenEntry) -> tuple[str, ...]:
    """The permissions of a mint over its token, as codes of `events.token_warnings`; empty where it
    has none.
    """
    if account is None:
        return ()
    try:
        return read_mint(token.mint, account).warnings
    except ValueError:
        return ()
