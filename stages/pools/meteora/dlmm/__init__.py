"""Meteora DLMM as a pool family.

Imports `contract` and what goes with it, no other family. Public: `FAMILY`.
"""

from __future__ import annotations

from stages.pools.family import PoolFamily
from stages.pools.meteora.dlmm import accounts, errors, layout
from stages.pools.meteora.dlmm.addresses import PROGRAMS
from stages.pools.meteora.dlmm.instruction import parse_swap, write_swap
from stages.pools.meteora.dlmm.pool import DlmmPool

FAMILY = PoolFamily(
    name="meteora-dlmm",
    dex="meteora",
    programs=PROGRAMS,
    errors=errors.ERRORS,
    too_little_out=errors.TOO_LITTLE_OUT,
    too_much_in=errors.TOO_MUCH_IN,
    # 41,000 and some 6,300 a bin: fifty bins.
    cu_limit=400_000,
    cu_step=6_000,
    pool=DlmmPool,
    is_pool_data=layout.is_pair,
    needs=accounts.needs,
    decode_pool=accounts.decode,
    write_pool=accounts.write,
    write_swap=write_swap,
    parse=parse_swap,
)
