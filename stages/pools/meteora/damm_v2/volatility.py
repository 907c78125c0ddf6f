"""The dynamic fee of DAMM v2: what volatility adds to the base fee, and how it is remembered.

Formulas: docs.meteora.ag, dynamic fees. A swap pays ceil((v·s)²·C / 1e11) per 1e9 for the
accumulator v that earlier swaps left. Then, if the filter period has passed since the last move of
a bin, the reference price becomes the price before this swap, and the volatility reference a share
of v, or 0 after the decay period; and v becomes that reference plus 10,000 for each bin between the
reference price and the price after. A bin is a step s of the price, two of its root. A swap that
moves less than a bin does not count as a move. Vectors: damm-pool-17.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

_BPS = 10_000
_SCALE = 100_000_000_000


class VolatilityTerms(msgspec.Struct, frozen=True, gc=False):
    """The terms that no swap changes."""

    max_accumulator: int
    control: int
    bin_step: int
    filter_s: int
    decay_s: int
    reduction_bps: int
    bin_step_q64: int

    def fee(self, accumulator: int) -> int:
        """The surcharge on the base fee, per 1e9, rounded up."""
        return -(-((accumulator * self.bin_step) ** 2) * self.control // _SCALE)


class Volatility(NamedTuple):
    """The state that is kept between swaps."""

    moved_at_s: int
    sqrt_reference: int
    accumulator: int
    reference: int


def moved(
    terms: VolatilityTerms, was: Volatility, sqrt_before: int, sqrt_after: int, now_s: int
) -> Volatility:
    """The state after a swap that moved the price so."""
    moved_at_s, sqrt_reference, accumulator, reference = was
    elapsed = now_s - moved_at_s
    if elapsed >= terms.filter_s:
        sqrt_reference = sqrt_before
        reference = accumulator * terms.reduction_bps // _BPS if elapsed < terms.decay_s else 0
    step = terms.bin_step_q64
    accumulator = reference + _bins(sqrt_reference, sqrt_after, step) * _BPS
    if _bins(sqrt_before, sqrt_after, step):
        moved_at_s = now_s
    return Volatility(
        moved_at_s, sqrt_reference, min(accumulator, terms.max_accumulator), reference
    )


def _bins(delta: int, other: int, step_q64: int) -> int:
    """How many bins lie between two roots of prices."""
    low, high = (delta, other) if delta < other else (other, delta)
    return ((high << 64) // low - (1 << 64)) // step_q64 * 2
