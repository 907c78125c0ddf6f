"""Raydium AMM v4 as a pool family.

Imports `contract` and what goes with it, no other family. Public: `FAMILY`.
"""

from __future__ import annotations

from collections.abc import Mapping

from stages.pools.contract import ErrorCode
from stages.pools.family import PoolFamily
from stages.pools.raydium import token_errors
from stages.pools.raydium.amm_v4 import layout
from stages.pools.raydium.amm_v4.instruction import parse_swap, write_swap
from stages.pools.raydium.amm_v4.pool import AmmV4Pool

# The program counts its errors from 0; their names are what it writes into the log.
_ERRORS: Mapping[str, ErrorCode] = {
    **token_errors.OVERFLOW,
    **token_errors.FROZEN,
    "Error: ExpectedAccount": ErrorCode(3, "token-account-unusable"),
    "Error: InvalidOwner": ErrorCode(18, "token-account-unusable"),
    "Error: InvalidStatus": ErrorCode(22, "pool-disabled"),
    "Error: InvalidInput": ErrorCode(29, "amount-too-small"),
    "Error: exceeds desired slippage limit": ErrorCode(30, "slippage-exceeded", retryable=True),
    "Error: CalculationExRateFailure": ErrorCode(31, "insufficient-liquidity", retryable=True),
    "Error: Checked_Sub Overflow": ErrorCode(32, "insufficient-liquidity", retryable=True),
    "Error: Checked_Add Overflow": ErrorCode(33, "amount-too-large"),
    "Error: Checked_Mul Overflow": ErrorCode(34, "amount-too-large"),
    "Error: Checked_Div Overflow": ErrorCode(35, "insufficient-liquidity", retryable=True),
    "Error: Empty Funds": ErrorCode(36, "insufficient-liquidity", retryable=True),
    "Error: Calc pnl error": ErrorCode(37, "calculation-overflow"),
    "Error: InvalidSplTokenProgram": ErrorCode(38, "token-account-missing"),
    "Error: insufficient funds": ErrorCode(40, "insufficient-funds"),
    "Error: Conversion to or from u64 failed.": ErrorCode(
        41, "insufficient-liquidity", retryable=True
    ),
    "Error: User token input does not match amm": ErrorCode(42, "invalid-accounts"),
    "panic": ErrorCode(-1, "insufficient-liquidity", retryable=True),
}

FAMILY = PoolFamily(
    name="raydium-amm-v4",
    dex="raydium",
    programs={
        "mainnet": "675kPX9MHTjS2zt1qfr1NYHuzeLXfQM9H24wFSUt1Mp8",
        "devnet": "DRaya7Kj3aMWQSy19kSjvmuwq9docCHofyP9kanQGaav",
    },
    errors=_ERRORS,
    too_little_out="Error: exceeds desired slippage limit",
    too_much_in="Error: exceeds desired slippage limit",
    cu_limit=30_000,
    pool=AmmV4Pool,
    is_pool_data=layout.is_pool_data,
    needs=layout.needs,
    decode_pool=layout.decode,
    write_pool=layout.write,
    write_swap=write_swap,
    parse=parse_swap,
    transfer_fees=False,
)
