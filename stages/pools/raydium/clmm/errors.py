"""Raydium CLMM: what its refusals are called here.

The codes are those of the program since its release of May 2026, which dropped names from the list:
before it, the later codes were higher by up to five. Its names in the logs stayed the same, and
they count first.
"""

from __future__ import annotations

from stages.pools.contract import ErrorCode

TOO_LITTLE_OUT = "TooLittleOutputReceived"
TOO_MUCH_IN = "TooMuchInputPaid"

ERRORS = {
    "NotApproved": ErrorCode(6000, "pool-disabled"),
    # A tick array or the bitmap extension is not among the accounts.
    "AccountLack": ErrorCode(6002, "tick-arrays-missing", retryable=True),
    # The pool's opening time is not past yet (Anchor's own code).
    "RequireGtViolated": ErrorCode(2505, "pool-not-open", retryable=True),
    # A swap without a price limit that is not filled (Anchor's own code).
    "RequireEqViolated": ErrorCode(2501, "insufficient-liquidity", retryable=True),
    "InvalidTickArray": ErrorCode(6009, "tick-arrays-missing", retryable=True),
    "SqrtPriceLimitOverflow": ErrorCode(6011, "price-limit"),
    "SqrtPriceX64": ErrorCode(6012, "price-out-of-range"),
    "LiquiditySubValueErr": ErrorCode(6013, "calculation-overflow"),
    "LiquidityAddValueErr": ErrorCode(6014, "calculation-overflow"),
    "LiquidityInsufficient": ErrorCode(6016, "insufficient-liquidity", retryable=True),
    "PriceSlippageCheck": ErrorCode(6017, "slippage-exceeded", retryable=True),
    TOO_LITTLE_OUT: ErrorCode(6018, "slippage-exceeded", retryable=True),
    TOO_MUCH_IN: ErrorCode(6019, "slippage-exceeded", retryable=True),
    "ZeroAmountSpecified": ErrorCode(6020, "amount-too-small"),
    "InvalidInputPoolVault": ErrorCode(6021, "invalid-accounts"),
    "TooSmallInputOrOutputAmount": ErrorCode(6022, "amount-too-small"),
    "NotEnoughTickArrayAccount": ErrorCode(6023, "tick-arrays-missing", retryable=True),
    "InvalidFirstTickArrayAccount": ErrorCode(6024, "tick-arrays-missing", retryable=True),
    "NotSupportMint": ErrorCode(6034, "unsupported-mint"),
    "MissingTickArrayBitmapExtensionAccount": ErrorCode(6035, "invalid-accounts"),
    "InsufficientLiquidityForDirection": ErrorCode(6036, "insufficient-liquidity", retryable=True),
    "MaxTokenOverflow": ErrorCode(6037, "amount-too-large"),
    "CalculateOverflow": ErrorCode(6038, "amount-too-large"),
    "TransferFeeCalculateNotMatch": ErrorCode(6039, "unsupported-mint"),
    # The limit orders of a tick do not add up.
    "InvalidOrderPhase": ErrorCode(6041, "limit-order-invalid"),
    "InvalidLimitOrderAmount": ErrorCode(6042, "limit-order-invalid"),
    "OrderPhaseSaturated": ErrorCode(6043, "limit-order-invalid"),
    "ZeroSqrtPrice": ErrorCode(6046, "price-out-of-range"),
    "ZeroLiquidity": ErrorCode(6047, "insufficient-liquidity", retryable=True),
    "InvalidTickArrayBitmapExtensionAccount": ErrorCode(6051, "invalid-accounts"),
    # The token program's. In a quote it is the vault that holds too little; see solana/errors.py.
    "InsufficientFunds": ErrorCode(1, "insufficient-liquidity", retryable=True),
    # The runtime's: out of compute units, or a panic.
    "ProgramFailedToComplete": ErrorCode(-1, "too-many-ticks"),
    "panic": ErrorCode(-1, "calculation-overflow"),
}
