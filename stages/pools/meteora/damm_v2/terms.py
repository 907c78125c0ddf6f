"""The parts of a DAMM v2 pool: its addresses, its terms, and the fees it has collected."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from stages.pools.meteora.damm_v2.limiter import Limiter
from stages.pools.meteora.damm_v2.schedule import Schedule
from stages.pools.meteora.damm_v2.volatility import VolatilityTerms


class DammKeys(msgspec.Struct, frozen=True, gc=False):
    """The addresses of a pool, base58."""

    address: str
    program: str
    mint_a: str
    mint_b: str
    vault_a: str
    vault_b: str
    token_program_a: str
    token_program_b: str


class DammTerms(msgspec.Struct, frozen=True, gc=False):
    """The terms that no swap changes."""

    enabled: bool
    activation: int
    by_time: bool
    """Whether activation counts seconds, not slots."""
    sqrt_min: int
    sqrt_max: int
    collects_b: bool
    """Whether the fee is taken in b whichever way the swap goes."""
    compounding_bps: int
    """Of the liquidity providers' fee; 0 unless `compounds`."""
    compounds: bool
    protocol_percent: int
    highest_fee: int
    schedule: Schedule
    limiter: Limiter | None
    volatility: VolatilityTerms | None


class Collected(NamedTuple):
    """The fees of one token that swaps have added up in the account."""

    protocol: int
    """Not yet claimed, base units."""
    protocol_ever: int
    providers_ever: int
    """The compounded part included."""
    per_liquidity: int
    """Claimable by providers, per unit of liquidity, times 2^128."""
