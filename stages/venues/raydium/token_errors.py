"""What the token programs answer from within a swap (codes: spl-token's TokenError)."""

from __future__ import annotations

from stages.venues.pool import ErrorCode

OVERFLOW = {"Error: Operation overflowed": ErrorCode(14, "insufficient-liquidity")}
INSUFFICIENT_FUNDS = {"Error: insufficient funds": ErrorCode(1, "insufficient-funds")}
FROZEN = {"Error: Account is frozen": ErrorCode(17, "account-frozen")}
