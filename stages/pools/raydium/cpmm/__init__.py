"""Raydium CPMM as a pool family.

Imports `contract` and what goes with it, no other family. Public: `FAMILY`.
"""

from __future__ import annotations

from collections.abc import Mapping

from stages.pools.contract import ErrorCode
from stages.pools.family import PoolFamily
from stages.pools.raydium import token_errors
from stages.pools.raydium.cpmm import layout
from stages.pools.raydium.cpmm.instruction import parse_swap, write_swap
from stages.pools.raydium.cpmm.pool import CpmmPool

# Anchor counts a program's own errors from 6000; those of its `require` macros are from 2500 on.
_ERRORS: Mapping[str, ErrorCode] = {
    **token_errors.INSUFFICIENT_FUNDS,
    **token_errors.OVERFLOW,
    **token_errors.FROZEN,
    "RequireGtViolated": ErrorCode(2505, "amount-too-small"),
    "RequireGteViolated": ErrorCode(2506, "insufficient-liquidity", retryable=True),
    "NotApproved": ErrorCode(6000, "pool-disabled"),
    "InvalidOwner": ErrorCode(6001, "invalid-accounts"),
    "EmptySupply": ErrorCode(6002, "insufficient-liquidity", retryable=True),
    "InvalidInput": ErrorCode(6003, "invalid-accounts"),
    "ExceededSlippage": ErrorCode(6005, "slippage-exceeded", retryable=True),
    "ZeroTradingTokens": ErrorCode(6006, "amount-too-small"),
    "NotSupportMint": ErrorCode(6007, "unsupported-mint"),
    "InvalidVault": ErrorCode(6008, "invalid-accounts"),
    "TransferFeeCalculateNotMatch": ErrorCode(6010, "unsupported-mint"),
    "MathOverflow": ErrorCode(6011, "insufficient-liquidity", retryable=True),
    "InsufficientVault": ErrorCode(6012, "insufficient-liquidity", retryable=True),
    "InvalidFeeModel": ErrorCode(6013, "unsupported-pool"),
    "panic": ErrorCode(-1, "insufficient-liquidity", retryable=True),
}

FAMILY = PoolFamily(
    name="raydium-cpmm",
    dex="raydium",
    programs={
        "mainnet": "CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C",
        "devnet": "DRaycpLY18LhpbydsBWbVJtxpNv9oXPgjRSfpF2bWpYb",
    },
    errors=_ERRORS,
    too_little_out="ExceededSlippage",
    too_much_in="ExceededSlippage",
    cu_limit=50_000,
    pool=CpmmPool,
    is_pool_data=layout.is_pool_data,
    needs=layout.needs,
    decode_pool=layout.decode,
    write_pool=layout.write,
    write_swap=write_swap,
    parse=parse_swap,
)
