"""Meteora DAMM v2 (cp-amm) as a pool family.

Imports `contract` and what goes with it, no other family. Public: `FAMILY`.
"""

from __future__ import annotations

from collections.abc import Mapping

from stages.pools.contract import ErrorCode
from stages.pools.family import PoolFamily
from stages.pools.meteora.damm_v2 import layout
from stages.pools.meteora.damm_v2.instruction import parse_swap, write_swap
from stages.pools.meteora.damm_v2.pool import DammPool

_PROGRAM = "cpamdpZCGKUy5JxQXB4dcpGPiikHawvSWAd6mEn1sGG"
# Numbers: docs.meteora.ag, DAMM v2 program errors. What a swap can meet; 1 is the token program's:
# in a quote it is the vault that holds too little, see solana/errors.py.
_ERRORS: Mapping[str, ErrorCode] = {
    "Error: insufficient funds": ErrorCode(1, "insufficient-liquidity", retryable=True),
    "MathOverflow": ErrorCode(6000, "insufficient-liquidity", retryable=True),
    "InvalidFee": ErrorCode(6001, "unsupported-pool"),
    "ExceededSlippage": ErrorCode(6002, "slippage-exceeded", retryable=True),
    "PoolDisabled": ErrorCode(6003, "pool-disabled"),
    "AmountIsZero": ErrorCode(6006, "amount-too-small"),
    "TypeCastFailed": ErrorCode(6007, "insufficient-liquidity", retryable=True),
    "InvalidActivationType": ErrorCode(6010, "unsupported-pool"),
    "PriceRangeViolation": ErrorCode(6015, "insufficient-liquidity", retryable=True),
    "InvalidParameters": ErrorCode(6016, "invalid-instruction"),
    "InvalidCollectFeeMode": ErrorCode(6017, "unsupported-pool"),
    "InvalidInput": ErrorCode(6018, "invalid-instruction"),
    "InsufficientLiquidity": ErrorCode(6023, "insufficient-liquidity", retryable=True),
    "InvalidPoolStatus": ErrorCode(6025, "pool-disabled"),
    "FeeInverseIsIncorrect": ErrorCode(6038, "unsupported-pool"),
    "InvalidBaseFeeMode": ErrorCode(6047, "unsupported-pool"),
    "FailToValidateSingleSwapInstruction": ErrorCode(6049, "invalid-instruction"),
    "UndeterminedError": ErrorCode(6051, "undetermined", slips=True),
    "InvalidPoolVersion": ErrorCode(6052, "unsupported-pool"),
    "CpiDisabled": ErrorCode(6064, "invalid-instruction"),
    "panic": ErrorCode(-1, "insufficient-liquidity", retryable=True),
}

FAMILY = PoolFamily(
    name="meteora-damm-v2",
    dex="meteora",
    programs={"mainnet": _PROGRAM, "devnet": _PROGRAM},
    errors=_ERRORS,
    too_little_out="ExceededSlippage",
    too_much_in="ExceededSlippage",
    cu_limit=50_000,
    pool=DammPool,
    is_pool_data=layout.is_pool_data,
    needs=layout.needs,
    decode_pool=layout.decode,
    write_pool=layout.write,
    write_swap=write_swap,
    parse=parse_swap,
)
