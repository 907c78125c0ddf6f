"""Meteora DLMM: what its refusals are called here. Codes: the program's published interface."""

from __future__ import annotations

from stages.pools.contract import ErrorCode

TOO_LITTLE_OUT = "ExceededAmountSlippageTolerance"
TOO_MUCH_IN = "InsufficientInAmount"
NOT_EXACT_OUT = "NotExactAmountOut"
NO_OUTPUT = "InsufficientOutAmount"
LAYERS_SHORT = "UndeterminedError"
ARRAYS_MISSING = "AccountNotEnoughKeys"
OUT_OF_COMPUTE = "ProgramFailedToComplete"
VAULT_EMPTY = "Error: insufficient funds"

ERRORS = {
    # The token program's. In a quote it is the vault that holds too little; see solana/errors.py.
    VAULT_EMPTY: ErrorCode(1, "insufficient-liquidity", retryable=True),
    "Error: Account is frozen": ErrorCode(17, "token-account-frozen"),
    # Anchor's: the swap ran beyond the bin arrays that it was given.
    ARRAYS_MISSING: ErrorCode(3005, "bin-arrays-missing", retryable=True),
    "InvalidBinId": ErrorCode(6001, "invalid-accounts"),
    "InvalidInput": ErrorCode(6002, "amount-too-small"),
    TOO_LITTLE_OUT: ErrorCode(6003, "slippage-exceeded", retryable=True),
    "ExceededBinSlippageTolerance": ErrorCode(6004, "slippage-exceeded", retryable=True),
    "ZeroLiquidity": ErrorCode(6007, "insufficient-liquidity", retryable=True),
    "BinArrayNotFound": ErrorCode(6009, "bin-arrays-missing", retryable=True),
    "InvalidTokenMint": ErrorCode(6010, "invalid-accounts"),
    "PairInsufficientLiquidity": ErrorCode(6012, "insufficient-liquidity", retryable=True),
    "MathOverflow": ErrorCode(6018, "calculation-overflow"),
    "TypeCastFailed": ErrorCode(6019, "calculation-overflow"),
    "InvalidBinArray": ErrorCode(6027, "bin-arrays-missing", retryable=True),
    "NonContinuousBinArrays": ErrorCode(6028, "bin-arrays-missing", retryable=True),
    "BitmapExtensionAccountIsNotProvided": ErrorCode(
        6036, "insufficient-liquidity", retryable=True
    ),
    "CannotFindNonZeroLiquidityBinArrayId": ErrorCode(
        6037, "insufficient-liquidity", retryable=True
    ),
    "BinIdOutOfBound": ErrorCode(6038, "insufficient-liquidity", retryable=True),
    NO_OUTPUT: ErrorCode(6039, "amount-too-small", slips=True),
    "PoolDisabled": ErrorCode(6042, "pool-disabled"),
    "ExceedMaxSwappedAmount": ErrorCode(6053, "amount-too-large"),
    NOT_EXACT_OUT: ErrorCode(6057, "exact-output-unreachable", retryable=True, slips=True),
    "InvalidStatus": ErrorCode(6066, "pool-disabled"),
    "UnsupportedMintExtension": ErrorCode(6070, "unsupported-mint"),
    "InsufficientRemainingAccounts": ErrorCode(6074, "invalid-accounts"),
    "MissingRemainingAccountForTransferHook": ErrorCode(6077, "unsupported-mint"),
    "NotSupportAtTheMoment": ErrorCode(6082, "pool-disabled"),
    # An exact output that the layers of a bin with limit orders do not add up to.
    LAYERS_SHORT: ErrorCode(6085, "exact-output-unreachable", retryable=True, slips=True),
    TOO_MUCH_IN: ErrorCode(6104, "slippage-exceeded", retryable=True),
    # The runtime's: out of compute units, or a panic.
    OUT_OF_COMPUTE: ErrorCode(-1, "too-many-bins"),
    "panic": ErrorCode(-1, "calculation-overflow"),
}
