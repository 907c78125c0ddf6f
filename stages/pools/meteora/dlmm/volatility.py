"""Meteora DLMM: the volatility behind the variable fee.

It counts the bins crossed since a reference bin. A swap soon after the last one keeps the
reference; a later one starts from the active bin with a part of the volatility, and one much later
from 0. https://docs.meteora.ag/core-products/dlmm/formulas
"""

from __future__ import annotations

from typing import NamedTuple

from stages.pools.meteora.dlmm.maths import BPS, VOLATILITY_PER_BIN
from stages.pools.meteora.dlmm.pair import Pair


class Volatility(NamedTuple):
    """As the pair keeps it."""

    accumulator: int
    reference: int
    index_reference: int
    """The bin that crossings are counted from."""
    updated_s: int
    """When a swap last moved the active bin, Unix time."""


def referred(last: Volatility, pair: Pair, active_id: int, now_s: int) -> Volatility:
    """The references at the start of a swap."""
    elapsed_s = now_s - last.updated_s
    if elapsed_s < pair.filter_s:
        return last
    kept = last.accumulator * pair.reduction_bps // BPS if elapsed_s < pair.decay_s else 0
    return Volatility(last.accumulator, kept, active_id, last.updated_s)


def accumulated(volatility: Volatility, pair: Pair, bin_id: int) -> int:
    """The accumulator when a swap has come to this bin."""
    crossed = abs(volatility.index_reference - bin_id)
    return min(volatility.reference + crossed * VOLATILITY_PER_BIN, pair.max_volatility)
