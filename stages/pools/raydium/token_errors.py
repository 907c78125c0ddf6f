"""The errors of the token programs within a swap (codes: spl-token's TokenError).

In a quote it is the vault that holds too little, or could hold no more; on chain it depends on
which account pays: see solana/errors.py.
"""

from __future__ import annotations

from stages.pools.contract import ErrorCode

OVERFLOW = {"Error: Operation overflowed": ErrorCode(14, "insufficient-liquidity", retryable=True)}
INSUFFICIENT_FUNDS = {
    "Error: insufficient funds": ErrorCode(1, "insufficient-liquidity", retryable=True)
}
FROZEN = {"Error: Account is frozen": ErrorCode(17, "token-account-frozen")}
