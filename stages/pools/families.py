"""The pool families, a line each."""

from __future__ import annotations

from stages.pools.contract import Family
from stages.pools.meteora import damm_v2, dlmm
from stages.pools.raydium import amm_v4, clmm, cpmm

FAMILIES: tuple[Family, ...] = (
    cpmm.FAMILY,
    amm_v4.FAMILY,
    clmm.FAMILY,
    dlmm.FAMILY,
    damm_v2.FAMILY,
)
