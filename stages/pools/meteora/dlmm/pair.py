"""Meteora DLMM: what swaps do not change about a pair."""

from __future__ import annotations

import msgspec

from stages.pools.contract import Clock


class Pair(msgspec.Struct, frozen=True, gc=False):
    """A pair's addresses, parameters and the map of its bin arrays."""

    address: str
    program: str
    mint_x: str
    mint_y: str
    reserve_x: str
    reserve_y: str
    oracle: str
    token_program_x: str
    token_program_y: str
    extension: str | None
    """The bitmap extension, if the pair has one."""
    bitmap: int
    """See `dlmm_bitmap`."""
    bin_step: int
    """In basis points."""
    min_bin_id: int
    max_bin_id: int
    base_rate: int
    """Base fee rate, per 1e9."""
    variable_fee_control: int
    filter_s: int
    decay_s: int
    reduction_bps: int
    max_volatility: int
    protocol_share_bps: int
    fee_on_y: bool
    """Fees in token y either way, not in what comes in."""
    takes_orders: bool
    """Limit orders in its bins count."""
    enabled: bool
    opens_by_slot: bool
    opens_at: int
    """A slot or Unix time; 0 if it was always open."""

    def is_open(self, clock: Clock) -> bool:
        """Whether the pair is enabled and open to swaps."""
        now = clock.slot if self.opens_by_slot else clock.time_s
        return self.enabled and now >= self.opens_at
