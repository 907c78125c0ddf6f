"""Pools of x·y = k without a fee, as a pool family.

Imports `contract` and what goes with it, no other family. Public: `FAMILY`.
"""

from __future__ import annotations

from stages.pools.contract import ErrorCode
from stages.pools.family import PoolFamily
from stages.pools.toy.constant import layout
from stages.pools.toy.constant.instruction import parse_swap, write_swap
from stages.pools.toy.constant.pool import ConstantPool

_PROGRAM = "ToyPooL111111111111111111111111111111111111"

FAMILY = PoolFamily(
    name="toy-constant",
    dex="toy",
    programs={"mainnet": _PROGRAM, "devnet": _PROGRAM},
    errors={
        "ZeroAmount": ErrorCode(6000, "amount-too-small"),
        "Slippage": ErrorCode(6001, "slippage-exceeded", retryable=True),
        "Empty": ErrorCode(6002, "insufficient-liquidity", retryable=True),
    },
    too_little_out="Slippage",
    too_much_in="Slippage",
    cu_limit=30_000,
    pool=ConstantPool,
    is_pool_data=layout.is_pool_data,
    needs=layout.needs,
    decode_pool=layout.decode,
    write_pool=layout.write,
    write_swap=write_swap,
    parse=parse_swap,
    transfer_fees=False,
)
