"""Raydium CLMM as a pool family: concentrated liquidity, quoted as the program swaps.

Imports `contract` and what goes with it, no other family. Public: `FAMILY`.
"""

from __future__ import annotations

from stages.pools.family import PoolFamily
from stages.pools.raydium.clmm import accounts, instruction, layout, writing
from stages.pools.raydium.clmm.addresses import PROGRAMS
from stages.pools.raydium.clmm.errors import ERRORS, TOO_LITTLE_OUT, TOO_MUCH_IN
from stages.pools.raydium.clmm.pool import ClmmPool

FAMILY = PoolFamily(
    name="raydium-clmm",
    dex="raydium",
    programs=PROGRAMS,
    errors=ERRORS,
    too_little_out=TOO_LITTLE_OUT,
    too_much_in=TOO_MUCH_IN,
    cu_limit=200_000,
    cu_step=20_000,
    pool=ClmmPool,
    is_pool_data=layout.is_pool_data,
    needs=accounts.needs,
    decode_pool=accounts.decode,
    write_pool=writing.write,
    write_swap=instruction.instruction,
    parse=instruction.parse,
)
