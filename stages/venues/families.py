"""The pool families, a line each."""

from __future__ import annotations

from stages.venues.meteora import damm_v2, dlmm
from stages.venues.pool import Family
from stages.venues.raydium import amm_v4, clmm, cpmm

FAMILIES: tuple[Family, ...] = (
    cpmm.FAMILY,
    amm_v4.FAMILY,
    clmm.FAMILY,
    dlmm.FAMILY,
    damm_v2.FAMILY,
)
