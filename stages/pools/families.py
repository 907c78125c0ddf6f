"""The pool families, a line each. A DEX is a name that one family, at least, has."""

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
DEXES = tuple(dict.fromkeys(family.dex for family in FAMILIES))
"""The names that VENUES takes."""

_programs = [program for family in FAMILIES for program in set(family.programs.values())]
assert len(set(_programs)) == len(_programs), "a pool's owner program tells its family"
assert len({family.name for family in FAMILIES}) == len(FAMILIES), "names tell families apart"
