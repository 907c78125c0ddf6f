"""Raydium CLMM: what its refusals are called here.

The codes are those of the program that answered the vectors. Its release of May 2026 dropped names
from the list, so that later codes are lower by up to four (TooLittleOutputReceived is 6018 there,
and 6022 is TooSmallInputOrOutputAmount); the names in its logs are the same.
"""

from __future__ import annotations

from stages.venues.pool import ErrorCode

TOO_LITTLE_OUT = "TooLittleOutputReceived"
TOO_MUCH_IN = "TooMuchInputPaid"

ERRORS = {
    "NotApproved": ErrorCode(6001, "pool-disabled"),
    # The pool's opening time is not past yet (Anchor's own code).
    "RequireGtViolated": ErrorCode(2505, "pool-not-open", retryable=True),
    # A swap without a price limit that is not filled (Anchor's own code).
    "RequireEqViolated": ErrorCode(2501, "insufficient-liquidity"),
    "InvalidTickArray": ErrorCode(6011, "tick-arrays-missing", retryable=True),
    "SqrtPriceLimitOverflow": ErrorCode(6013, "price-limit"),
    "SqrtPriceX64": ErrorCode(6014, "price-out-of-range"),
    "LiquiditySubValueErr": ErrorCode(6015, "calculation-overflow"),
    "LiquidityAddValueErr": ErrorCode(6016, "calculation-overflow"),
    "LiquidityInsufficient": ErrorCode(6019, "insufficient-liquidity"),
    TOO_LITTLE_OUT: ErrorCode(6022, "slippage-exceeded", retryable=True),
    TOO_MUCH_IN: ErrorCode(6023, "slippage-exceeded", retryable=True),
    "ZeroAmountSpecified": ErrorCode(6024, "amount-too-small"),
    "InvalidInputPoolVault": ErrorCode(6025, "invalid-accounts"),
    "TooSmallInputOrOutputAmount": ErrorCode(6026, "amount-too-small"),
    "NotEnoughTickArrayAccount": ErrorCode(6027, "tick-arrays-missing", retryable=True),
    "InvalidFirstTickArrayAccount": ErrorCode(6028, "tick-arrays-missing", retryable=True),
    "MissingTickArrayBitmapExtensionAccount": ErrorCode(6040, "invalid-accounts"),
    "InsufficientLiquidityForDirection": ErrorCode(6041, "insufficient-liquidity"),
    "MaxTokenOverflow": ErrorCode(6042, "amount-too-large"),
    "CalculateOverflow": ErrorCode(6043, "amount-too-large"),
    # The token program's: a wallet or a vault holds too little.
    "InsufficientFunds": ErrorCode(1, "insufficient-funds"),
    "panic": ErrorCode(-1, "calculation-overflow"),
}
